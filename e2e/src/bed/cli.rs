//! `cargo bed`: what a person types, and what they read.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Subcommand, ValueEnum};
use tokio::time::Instant;

use crate::parts::{self, Line, Progress, Wanted};

use super::check;
use super::layout::MAX_NODES;
use super::programs::Programs;
use super::running::{self, Bed};
use super::state::State;
use super::status::Status;
use super::up::{self, Plan};

const EXAMPLES: &str = "\
Examples:
  cargo bed up                      two nodes of the newest Kubernetes
  cargo bed shell                   a shell with kubectl
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
        /// Which Kubernetes: the newest or the oldest we support.
        #[arg(long, value_enum, default_value_t = Kubernetes::Newest)]
        kubernetes: Kubernetes,
        /// With Argo CD and a git server for it. The first time it builds that, too, which takes minutes.
        #[arg(long)]
        argocd: bool,
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

#[derive(Subcommand)]
enum Appliance {
    /// Add one.
    Add { name: String },
    /// Remove one, and end what runs in it.
    Remove { name: String },
    /// Their names and addresses.
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kubernetes {
    Newest,
    Oldest,
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
        What::Up { nodes, kubernetes, argocd } => start(folder, *nodes, *kubernetes, *argocd).await?,
        What::Down => {
            up::down(&folder).await?;
            anstream::println!("The bed is gone, and nothing of it is left.");
        }
        What::Status { json } => return status(&folder, *json),
        What::Check { rounds, argocd } => check::check(&folder, *rounds, *argocd).await?,
        What::Shell { command } => bail!(shell(&Bed::in_folder(&folder)?, command)),
        What::Exec { member, command } => {
            let words = Bed::in_folder(&folder)?.inside(member, command)?;
            bail!(become_words(Command::new(&words[0]).args(&words[1..])));
        }
        What::Logs { component, follow } => bail!(logs(&folder, component.as_deref(), *follow)?),
        What::Appliance { what } => appliance(&folder, what).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(folder: PathBuf, nodes: u8, kubernetes: Kubernetes, argocd: bool) -> Result<()> {
    let line = match kubernetes {
        Kubernetes::Newest => Line::Newest,
        Kubernetes::Oldest => Line::Oldest,
    };
    // Building takes minutes the first time; nothing of a running bed is touched until it is done.
    let parts = parts::ready(&Wanted { kubernetes: line, argocd }, &mut Progress::stderr())?;
    let plan = Plan { folder, nodes, kubernetes: parts.kubernetes_version };
    if is_running(&plan, argocd)? {
        anstream::println!("The bed is up already: {nodes} nodes of Kubernetes {}.", plan.kubernetes);
        return Ok(());
    }
    let programs = Programs {
        tools: parts.bin,
        runc: parts.runc,
        busybox: parts.busybox,
        pause: parts.pause,
        argocd: parts.argocd,
    };
    let began = Instant::now();
    let bed = up::up(&plan, programs, |line| anstream::println!("  {line}")).await.with_context(|| {
        format!(
            "the bed did not come up; `cargo bed logs` shows more ({}), `cargo bed down` clears it away",
            plan.folder.display()
        )
    })?;
    anstream::println!(
        "\n{nodes} nodes of Kubernetes {} are Ready after {:.1} s.\n\nKUBECONFIG={}\ncargo bed shell    a shell with kubectl",
        plan.kubernetes,
        began.elapsed().as_secs_f32(),
        bed.kubeconfig().display(),
    );
    Ok(())
}

/// Whether what was asked for is there. A bed of another kind is not replaced unasked; half a bed is.
fn is_running(plan: &Plan, argocd: bool) -> Result<bool> {
    let Some(state) = State::read(&plan.folder).ok().flatten().filter(|state| state.ready) else {
        return Ok(false);
    };
    if !state.dead().is_empty() {
        return Ok(false);
    }
    ensure!(
        (&state.kubernetes, state.nodes) == (&plan.kubernetes, plan.nodes),
        "a bed with {} nodes of Kubernetes {} runs; end it first: cargo bed down",
        state.nodes,
        state.kubernetes
    );
    ensure!(
        !argocd || state.programs.argocd.is_some(),
        "a bed without Argo CD runs; end it first: cargo bed down"
    );
    Ok(true)
}

fn status(folder: &Path, json: bool) -> Result<ExitCode> {
    let Some(state) = State::read(folder)? else {
        if json {
            anstream::println!("{}", serde_json::json!({ "phase": "down" }));
        } else {
            anstream::println!("No bed runs here. Start one: cargo bed up");
        }
        return Ok(ExitCode::FAILURE);
    };
    let status = Status::of(folder, &state);
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&status).context("write the status")?);
    } else {
        anstream::print!("{}", status.text());
    }
    Ok(if status.is_up() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns only when it could not be started.
#[expect(clippy::disallowed_methods, reason = "a shell is the user's own, and inherits their PATH")]
fn shell(bed: &Bed, command: &[OsString]) -> anyhow::Error {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = [bed.tools().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let path = match std::env::join_paths(all) {
        Ok(path) => path,
        Err(error) => return anyhow::Error::new(error).context("put kubectl on the PATH"),
    };
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut words = command.iter();
    let mut process = Command::new(words.next().unwrap_or(&shell));
    process.args(words).env("KUBECONFIG", bed.kubeconfig()).env("PATH", path);
    if command.is_empty() {
        let names: Vec<String> = bed.state().members(bed.layout()).into_iter().map(|one| one.name).collect();
        anstream::eprintln!(
            "kubectl speaks to the bed. Members: {}. Run something there: cargo bed exec NAME COMMAND",
            names.join(", ")
        );
    }
    become_words(&mut process)
}

fn logs(folder: &Path, component: Option<&str>, follow: bool) -> Result<anyhow::Error> {
    // Half a bed has logs, too; they are why one looks.
    let state = State::read(folder)?.context("no bed runs here; start one with `cargo bed up`")?;
    let layout = super::Layout::new(folder, state.nodes);
    let names: Vec<&str> = state.components.keys().map(String::as_str).collect();
    let mut tail = Command::new("tail");
    if follow {
        tail.arg("-F");
    }
    match component {
        Some(name) if names.contains(&name) => tail.arg("--lines=+1").arg(layout.log(name)),
        Some(name) => bail!("no component is called {name}; there are: {}", names.join(", ")),
        None => tail.args(names.iter().map(|name| layout.log(name))),
    };
    Ok(become_words(&mut tail))
}

async fn appliance(folder: &Path, what: &Appliance) -> Result<()> {
    let mut bed = Bed::in_folder(folder)?;
    match what {
        Appliance::Add { name } => {
            let member = bed.add_appliance(name).await?;
            anstream::println!(
                "{name} is {}. Run something there: cargo bed exec {name} COMMAND",
                member.address
            );
        }
        Appliance::Remove { name } => {
            bed.remove_appliance(name).await?;
            anstream::println!("{name} is gone.");
        }
        Appliance::List => {
            let members = bed.state().members(bed.layout());
            for member in members.iter().filter(|member| member.pods.is_none()) {
                anstream::println!("{:<24} {}", member.name, member.address);
            }
        }
    }
    Ok(())
}

fn become_words(command: &mut Command) -> anyhow::Error {
    let program = command.get_program().to_string_lossy().into_owned();
    anyhow::Error::new(command.exec()).context(format!("start {program}"))
}
