//! From nothing to Ready nodes and back: the order of starting. Whatever does not depend on each other starts side by side.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;

use super::cgroups::Cgroups;
use super::layout::{Layout, Member};
use super::programs::Programs;
use super::running::Bed;
use super::starter::Starter;
use super::state::State;
use super::{
    apiserver, argocd, cluster, containerd, controllers, disk, images, kine, kube_proxy, kubelet, kwok,
    local_path, lock, network, pki, scheduler, sweep,
};

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where.
    pub folder: std::path::PathBuf,
    /// How many nodes.
    pub nodes: u8,
    /// Whether the last of them is a spare one.
    pub spare: bool,
    /// Which Kubernetes, as it was asked for.
    pub kubernetes: String,
}

/// Starts a bed; whatever an earlier one left is cleared away first.
pub async fn up(plan: &Plan, programs: Programs, say: fn(&str)) -> Result<Bed> {
    let _lock = lock::take(&plan.folder)?;
    sweep::sweep(&plan.folder).await.context("clear away what an earlier bed left")?;
    let layout = Layout::new(&plan.folder, plan.nodes);
    let mut state = State::new(&plan.kubernetes, plan.nodes, programs.clone());
    state.spare = plan.spare;
    // First of all, so that a bed that is killed in the middle is known to be half a bed.
    state.write(&layout)?;
    for file in [layout.log("x"), layout.control("x")] {
        let folder = file.parent().unwrap_or(&file);
        fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    }
    pki::make(&layout).context("make the certificates")?;
    images::make(&layout, &programs).context("write the images")?;
    Cgroups::find()?.prepare()?;
    network::bridge().await?;

    let starter = Starter::new(layout, state, say)?;
    let nodes: Vec<Member> = starter.layout.nodes().collect();
    let prepared = try_join_all(nodes.iter().map(|node| prepare_node(&starter, node, &programs)));
    tokio::try_join!(api(&starter, &programs), prepared, Box::pin(prepare_argocd(&starter, &programs)))?;
    tokio::try_join!(
        control(&starter, &programs),
        Box::pin(start_argocd(&starter, &programs)),
        try_join_all(nodes.iter().map(|node| start_node(&starter, node, &programs))),
    )?;
    if let Some(spare) = nodes.last().filter(|_| plan.spare) {
        cluster::cordon(&starter.layout, &programs, spare).await?;
    }
    starter.change(|state| state.ready = true)?;
    Bed::in_folder(&plan.folder)
}

/// What Argo CD can do before there is an API. Nothing on a bed without it.
async fn prepare_argocd(starter: &Starter, programs: &Programs) -> Result<()> {
    if programs.argocd.is_none() {
        return Ok(());
    }
    let layout = &starter.layout;
    starter.join(&layout.argocd()).await?;
    tokio::try_join!(
        starter.start(argocd::redis(layout, programs)),
        starter.start(argocd::git_daemon(layout)),
    )?;
    starter.start(argocd::repo_server(layout, programs)).await
}

/// Its kinds, its settings, and what acts on them.
async fn start_argocd(starter: &Starter, programs: &Programs) -> Result<()> {
    let Some(manifests) = &programs.argocd else { return Ok(()) };
    let layout = &starter.layout;
    cluster::apply(layout, programs, &argocd::namespace()).await.context("make Argo CD's namespace")?;
    cluster::install(layout, programs, argocd::NAMESPACE, manifests)
        .await
        .context("install Argo CD's kinds")?;
    for path in argocd::KINDS {
        cluster::served(layout, programs, path).await?;
    }
    cluster::apply(layout, programs, &argocd::settings()).await.context("set Argo CD up")?;
    starter.start(argocd::controller(layout, programs)).await
}

/// Ends a bed and clears it away, whatever state it is in. Fine when there is none.
pub async fn down(folder: &Path) -> Result<()> {
    let _lock = lock::take(folder)?;
    sweep::sweep(folder).await?;
    fs::remove_dir(folder).with_context(|| format!("remove {}", folder.display()))
}

/// The API: everything else talks to it.
async fn api(starter: &Starter, programs: &Programs) -> Result<()> {
    starter.start(kine::component(&starter.layout, programs)).await?;
    starter.start(apiserver::component(&starter.layout, programs)).await
}

/// The rest of the control plane, and storage.
async fn control(starter: &Starter, programs: &Programs) -> Result<()> {
    let layout = &starter.layout;
    let storage = async {
        cluster::apply(layout, programs, &local_path::objects())
            .await
            .context("prepare the storage class")?;
        starter.start(local_path::component(layout, programs)).await
    };
    tokio::try_join!(
        starter.start(controllers::component(layout, programs)),
        starter.start(scheduler::component(layout, programs)),
        storage,
        Box::pin(start_kwok(starter, programs)),
    )?;
    Ok(())
}

/// The class of volumes of nodes that are not there, and who plays these. Nothing on a bed without it.
async fn start_kwok(starter: &Starter, programs: &Programs) -> Result<()> {
    let Some(kwok) = kwok::component(&starter.layout, programs) else { return Ok(()) };
    cluster::apply(&starter.layout, programs, &kwok::class())
        .await
        .context("prepare kwok's storage class")?;
    starter.start(kwok).await
}

/// What a node can do before there is an API: its disk, its namespaces, its containerd, its images.
pub(super) async fn prepare_node(starter: &Starter, node: &Member, programs: &Programs) -> Result<()> {
    disk::insert(node).await?;
    starter.join(node).await?;
    starter.start(containerd::component(node, programs)).await?;
    for image in images::archives(&starter.layout) {
        images::import(node, programs, &image).await?;
    }
    Ok(())
}

/// Its kubelet and kube-proxy, until Kubernetes calls it Ready.
pub(super) async fn start_node(starter: &Starter, node: &Member, programs: &Programs) -> Result<()> {
    let layout = &starter.layout;
    tokio::try_join!(
        starter.start(kubelet::component(layout, node, programs)),
        starter.start(kube_proxy::component(layout, node, programs)),
    )?;
    cluster::node_is(layout, programs, node, cluster::Seen::Ready).await
}
