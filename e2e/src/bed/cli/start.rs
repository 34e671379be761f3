//! `cargo bed up`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use tokio::time::Instant;

use crate::bed::layout::MAX_NODES;
use crate::bed::programs::Programs;
use crate::bed::state::State;
use crate::bed::up::{self, Plan};
use crate::parts::{self, Line, Progress, Wanted};

/// Which Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kubernetes {
    Newest,
    Oldest,
}

impl From<Kubernetes> for Line {
    fn from(kubernetes: Kubernetes) -> Self {
        match kubernetes {
            Kubernetes::Newest => Self::Newest,
            Kubernetes::Oldest => Self::Oldest,
        }
    }
}

/// Builds what is missing, then starts a bed, and says how to use it.
pub(super) async fn start(folder: PathBuf, nodes: u8, spare: bool, wanted: Wanted) -> Result<()> {
    // Building takes minutes the first time; nothing of a running bed is touched until it is done.
    let parts = parts::ready(&wanted, &mut Progress::stderr())?;
    let nodes = nodes + u8::from(spare);
    ensure!(nodes <= MAX_NODES, "a bed has at most {MAX_NODES} nodes, the spare one among them");
    let plan = Plan { folder, nodes, spare, kubernetes: parts.kubernetes_version };
    if is_running(&plan, wanted)? {
        anstream::println!("The bed is up already: {nodes} nodes of Kubernetes {}.", plan.kubernetes);
        return Ok(());
    }
    let programs = Programs {
        tools: parts.bin,
        runc: parts.runc,
        busybox: parts.busybox,
        pause: parts.pause,
        argocd: parts.argocd,
        kwok: parts.kwok,
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
fn is_running(plan: &Plan, wanted: Wanted) -> Result<bool> {
    let Some(state) = State::read(&plan.folder).ok().flatten().filter(|state| state.ready) else {
        return Ok(false);
    };
    if !state.dead().is_empty() {
        return Ok(false);
    }
    ensure!(
        (&state.kubernetes, state.nodes, state.spare) == (&plan.kubernetes, plan.nodes, plan.spare),
        "a bed with {} nodes{} of Kubernetes {} runs; end it first: cargo bed down",
        state.nodes,
        if state.spare { ", one of them spare," } else { "" },
        state.kubernetes
    );
    ensure!(
        !wanted.argocd || state.programs.argocd.is_some(),
        "a bed without Argo CD runs; end it first: cargo bed down"
    );
    // One that has it forgives its nodes everything, which no scenario expects.
    ensure!(
        wanted.kwok == state.programs.kwok.is_some(),
        "a bed {} kwok runs; end it first: cargo bed down",
        if wanted.kwok { "without" } else { "with" }
    );
    Ok(true)
}
