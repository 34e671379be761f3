//! `cargo bed`: what a person types, and what they read.
//!
//! In: the words of a command line. Out: lines for a person, or JSON, and an exit code. What is done to a bed is done
//! elsewhere; here it is asked for and told.

mod appliance;
mod becoming;
mod start;
mod status;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;

use self::appliance::Appliance;
use self::start::Kubernetes;
use super::layout::MAX_NODES;
use super::running::{self, Bed};
use super::up;
use super::{apart, check};
use crate::parts::Wanted;

const EXAMPLES: &str = "\
Examples:
  cargo bed up                      two nodes of the newest Kubernetes
  cargo bed up --argocd             with Argo CD, and a git server for it
  cargo bed up --kwok               for thousands of nodes that are not there
  cargo bed shell                   a shell with kubectl and helm
  cargo bed appliance add attic     a machine of its own on the same network
  cargo bed exec attic ip address   run something there
  cargo bed logs kubelet-node-1 -f  what a component prints
  cargo bed down                    leaves nothing behind

It needs root, and sends nothing to any other machine. Everything it writes is in /run/reflector-bed, or where
REFLECTOR_BED says.";

/// Options of `cargo bed`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// Start it; on one that runs, say so. What a killed one left is cleared away first.
    Up {
        /// How many nodes.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_NODES)))]
        nodes: u8,
        /// One node more, on which nothing is scheduled: scenarios that break a node take that one, and need not be told alone.
        #[arg(long)]
        spare: bool,
        /// Which Kubernetes: the newest or the oldest we support.
        #[arg(long, value_enum, default_value_t = Kubernetes::Newest)]
        kubernetes: Kubernetes,
        /// With Argo CD and a git server for it. The first time it builds that, too, which takes minutes.
        #[arg(long)]
        argocd: bool,
        /// With kwok, for `cargo measure scale`: whoever makes a Node with its annotation has one, without a machine. The
        /// first time it builds that, too.
        #[arg(long)]
        kwok: bool,
    },
    /// End it and clear it away.
    Down,
    /// Say what runs. Fails when the bed is not up.
    Status {
        /// For a program.
        #[arg(long)]
        json: bool,
    },
    /// Start one, kill the start, start again, end it, and look for traces on this machine.
    Check {
        /// How many times.
        #[arg(long, default_value_t = 1)]
        rounds: u8,
        /// With Argo CD.
        #[arg(long)]
        argocd: bool,
    },
    /// A shell with KUBECONFIG and PATH set; with words, run them instead.
    Shell {
        /// A command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Run a command as a node or an appliance.
    Exec {
        /// `node-1`, or an appliance's name.
        member: String,
        /// A command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Show what components print; without a name, the end of every log.
    Logs {
        /// A component, as `cargo bed status` names it.
        component: Option<String>,
        /// Keep showing.
        #[arg(short, long)]
        follow: bool,
    },
    /// Add, remove and list appliances: namespaces on the nodes' network, for clients.
    Appliance {
        #[command(subcommand)]
        what: Appliance,
    },
}

/// Does what was asked. Called by `main`, once.
pub fn run(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("start").and_then(|runtime| runtime.block_on(perform(&args.command))) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("cargo bed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn perform(what: &What) -> Result<ExitCode> {
    let folder = running::folder();
    ensure!(folder.is_absolute(), "REFLECTOR_BED must be an absolute path; it is {}", folder.display());
    if !matches!(what, What::Status { .. }) {
        let root = rustix::process::geteuid().is_root();
        ensure!(root, "the bed makes namespaces, mounts and cgroups: run this as root");
    }
    match what {
        What::Up { nodes, spare, kubernetes, argocd, kwok } => {
            start::start(
                folder,
                *nodes,
                *spare,
                Wanted { kubernetes: (*kubernetes).into(), argocd: *argocd, kwok: *kwok },
            )
            .await?;
        }
        What::Down => {
            up::down(&folder).await?;
            apart::sweep()?;
            anstream::println!("The bed is gone, and nothing of it is left.");
        }
        What::Status { json } => return status::status(&folder, *json),
        What::Check { rounds, argocd } => check::check(&folder, *rounds, *argocd).await?,
        What::Shell { command } => bail!(becoming::shell(&Bed::in_folder(&folder)?, command)),
        What::Exec { member, command } => {
            bail!(becoming::inside(&Bed::in_folder(&folder)?, member, command)?);
        }
        What::Logs { component, follow } => bail!(becoming::logs(&folder, component.as_deref(), *follow)?),
        What::Appliance { what } => appliance::perform(&folder, what).await?,
    }
    Ok(ExitCode::SUCCESS)
}
