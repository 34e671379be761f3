//! `cargo measure`: how long the operator and its reflectors take in a cluster, what they write, what they hold.
//!
//! In: a bed that runs, and which number. It installs the chart with programs as shipped (profile `dist`), anew each time. Out:
//! rows of a Markdown table, with the machine and the versions. It judges nothing: docs/bench/cluster.md does.

mod apart;
mod audited;
mod converge;
mod crowd;
mod cuts;
mod fake;
mod memory;
mod moments;
mod pairing;
mod quiet;
mod ready;
mod scale;
mod scene;
mod shares;
mod spread;
mod writes;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;

use self::scene::Scene;
use self::spread::Row;

/// Options of `cargo measure`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure this operator instead of building one as it is shipped.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// Measure this reflector instead of building one as it is shipped.
    #[arg(long, value_name = "FILE")]
    reflector: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

/// One number each.
#[derive(Subcommand, Clone, Copy)]
enum What {
    /// From `kubectl apply` of a Reflector to Ready, by phase.
    Ready {
        #[arg(long, default_value_t = 10)]
        rounds: u16,
    },
    /// From a peer to its code, and from the code presented to Bound.
    Pairing {
        #[arg(long, default_value_t = 100)]
        rounds: u16,
    },
    /// From `suspend: true` to both sockets closed, in the middle of a transfer.
    Cuts {
        #[arg(long, default_value_t = 100)]
        rounds: u16,
    },
    /// Memory of the operator, of the reflectors' pods and of local-path-provisioner, three reflectors being idle.
    Idle,
    /// Writes while nothing happens.
    Quiet {
        /// Reflectors whose pods never run.
        #[arg(long, default_value_t = 0)]
        reflectors: u16,
        /// Reflectors that serve.
        #[arg(long, default_value_t = 100)]
        serving: u16,
        #[arg(long, default_value_t = 1000)]
        peers: u16,
        #[arg(long, default_value_t = 10)]
        minutes: u16,
    },
    /// Writes a minute while peers measure.
    Busy {
        #[arg(long, default_value_t = 20)]
        peers: u16,
        #[arg(long, default_value_t = 4)]
        minutes: u16,
    },
    /// Time, work and memory of the operator with many objects, on nodes that are not there. Needs `cargo bed up --kwok`.
    Scale {
        #[arg(long, default_value_t = 1000)]
        reflectors: u16,
        #[arg(long, default_value_t = 10_000)]
        peers: u16,
    },
    /// What a pod hears of the peers of another reflector.
    Apart {
        /// Peers of the other.
        #[arg(long, default_value_t = 1000)]
        peers: u16,
    },
}

/// Measures and prints. Called by `main`, once.
pub(crate) fn run(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.context("start").and_then(|runtime| runtime.block_on(measured(args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("cargo measure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measured(args: &Args) -> Result<()> {
    let scene = Scene::set(args).await?;
    let rows = match args.what {
        What::Ready { rounds } => ready::measure(&scene, rounds).await,
        What::Pairing { rounds } => pairing::measure(&scene, rounds).await,
        What::Cuts { rounds } => cuts::measure(&scene, rounds).await,
        What::Idle => memory::idle(&scene).await,
        What::Quiet { reflectors, serving, peers, minutes } => {
            quiet::measure(&scene, reflectors, serving, peers, minutes).await
        }
        What::Busy { peers, minutes } => writes::busy(&scene, peers, minutes).await,
        What::Scale { reflectors, peers } => scale::measure(&scene, reflectors, peers).await,
        What::Apart { peers } => apart::measure(&scene, peers).await,
    }?;
    anstream::println!("{}  \n{}\n\n{}", e2e::machine::describe(), scene.versions(), Row::HEAD);
    for row in rows {
        anstream::println!("{row}");
    }
    // What does not exist takes longer to remove than to end the bed.
    if matches!(args.what, What::Scale { .. }) {
        anstream::println!("\nThis bed is full of objects now; end it: cargo bed down");
        return Ok(());
    }
    scene.strike().await
}
