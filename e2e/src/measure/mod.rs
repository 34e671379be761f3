//! `cargo measure`: how long the operator and its reflectors take in a cluster, what they write, what they hold.
//!
//! In: a bed that runs, and which number. It installs the chart with programs as shipped (profile `dist`), anew each time. Out:
//! rows of a Markdown table, with the machine and the versions. It judges nothing: docs/bench/cluster.md does.

mod apart;
mod audited;
mod busy;
mod converge;
mod crowd;
mod cuts;
mod download;
mod fake;
mod idle;
mod memory;
mod minutes;
mod moments;
mod pairing;
mod quiet;
mod ready;
mod scale;
mod scene;
mod shares;
mod spread;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use k8s_openapi::jiff::Timestamp;

use self::scene::Scene;
use self::spread::Row;

/// As many machines as a bed has addresses for, and places on one reflector.
const MAX_BUSY: i64 = 64;

/// Each Reflector of a round has a port of its own.
const MAX_ROUNDS: i64 = 1000;

const EXAMPLES: &str = "\
Examples, as root:
  cargo bed up --spare            a bed to measure on
  cargo measure ready             print a table
  cargo measure cuts --rounds 20  a shorter one
  cargo bed down

Programs are built as shipped (profile dist), which takes minutes the first time. What a demo or an earlier measurement
left on the bed is removed first; when one fails, what it made stays to be looked at. docs/bench/cluster.md has tables, and
what they mean.";

/// Options of `cargo measure`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
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
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=MAX_ROUNDS))]
        rounds: u16,
    },
    /// From a peer to its code, and from the code presented to Bound.
    Pairing {
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=MAX_ROUNDS))]
        rounds: u16,
    },
    /// From `suspend: true` to all sockets closed, in the middle of a transfer.
    Cuts {
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=MAX_ROUNDS))]
        rounds: u16,
    },
    /// Memory and processor time of the operator, of three reflectors that nobody uses, and of a controller written in Go.
    Idle {
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
        minutes: u16,
    },
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
    /// Writes a minute while peers measure again and again, each on a machine of its own.
    Busy {
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=MAX_BUSY))]
        peers: u16,
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
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
    let mut scene = Scene::set(args).await?;
    let rows = match args.what {
        What::Ready { rounds } => ready::measure(&scene, rounds).await,
        What::Pairing { rounds } => pairing::measure(&scene, rounds).await,
        What::Cuts { rounds } => cuts::measure(&scene, rounds).await,
        What::Idle { minutes } => idle::measure(&scene, minutes).await,
        What::Quiet { reflectors, serving, peers, minutes } => {
            quiet::measure(&scene, reflectors, serving, peers, minutes).await
        }
        What::Busy { peers, minutes } => busy::measure(&mut scene, peers, minutes).await,
        What::Scale { reflectors, peers } => scale::measure(&scene, reflectors, peers).await,
        What::Apart { peers } => apart::measure(&scene, peers).await,
    }?;
    let with = scene.versions().await?;
    anstream::println!("{}\n\n`{}`\n\n{}", head(&with), command(std::env::args().skip(1)), Row::HEAD);
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

/// When, where and with what.
#[expect(clippy::disallowed_methods, reason = "the day is what a reader wants to know first")]
fn head(with: &str) -> String {
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    format!("{today}, {}; {with}.", e2e::machine::describe())
}

/// As it was typed: cargo's alias is what precedes `measure`.
fn command(words: impl Iterator<Item = String>) -> String {
    ["cargo".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_how_to_get_it_again() {
        let words = ["measure", "cuts", "--rounds", "7"].map(str::to_owned);
        assert_eq!(command(words.into_iter()), "cargo measure cuts --rounds 7");
    }
}
