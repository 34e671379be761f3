//! Where policy comes from: a folder of manifests, or the API server. Chosen once, by the configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::access::cluster::{self, Cluster, Handle};
use crate::access::directory::{Directory, DirectoryHandle};
use crate::access::edit::PeersDir;
use crate::access::manifest::Mine;
use crate::audit::{Audit, OnFailure};
use crate::cluster::{Own, Pod, connect};
use crate::config::{self, Config};
use crate::engine::sys;
use crate::server::Roster;
use crate::{access::directory, clock};

use super::roster::Folder;
use super::wire::Rooms;

/// How long the API server may be away before we say that we are not ready: a server that restarts is back by then.
/// Test: `only_a_source_that_was_there_within_the_patience_is_fresh`.
pub(super) const AWAY_BUT_READY: Duration = Duration::from_secs(60);

/// Who we are in a cluster, and how we ask its API server.
pub(super) struct InCluster {
    pub(super) own: Own,
    pub(super) client: Client,
}

/// `None`: the reflector stands alone.
pub(super) async fn in_cluster(config: &Config) -> Result<Option<InCluster>> {
    let Some(own) = Own::of(&config.access, Pod::from_environment()) else { return Ok(None) };
    let client = connect(&own).await.context("ask the API server for the policy")?;
    tracing::info!(reflector = %own.name, namespace = %own.namespace, "one of a cluster");
    Ok(Some(InCluster { own, client }))
}

/// Which of the two, for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PolicyFrom {
    Folder,
    ApiServer,
}

/// The one task that feeds the index.
pub(super) enum Feeder {
    Folder(Directory),
    ApiServer(Box<Cluster>),
}

/// A feeder, and what others ask it.
pub(super) struct Feeding {
    pub(super) feeder: Feeder,
    /// Where appliances are written down that a window lets in; in a cluster they are objects.
    pub(super) roster: Option<Box<dyn Roster>>,
    /// In a cluster.
    pub(super) cluster: Option<Handle>,
}

impl Feeder {
    pub(super) fn policy_from(&self) -> PolicyFrom {
        match self {
            Self::Folder(_) => PolicyFrom::Folder,
            Self::ApiServer(_) => PolicyFrom::ApiServer,
        }
    }

    /// Until `cancel`. The name is for when it ends before.
    pub(super) async fn run(self, cancel: CancellationToken) -> &'static str {
        match self {
            Self::Folder(directory) => {
                directory.run(cancel).await;
                "the watch of the peers folder"
            }
            Self::ApiServer(cluster) => {
                cluster.run(cancel).await;
                "the watch of the API server"
            }
        }
    }
}

/// Makes the feeder that the configuration asks for.
pub(super) fn feeding(config: &Config, rooms: &Rooms, in_cluster: Option<&InCluster>) -> Feeding {
    match in_cluster {
        None => from_folder(config, rooms),
        Some(place) => from_api_server(config, rooms, place),
    }
}

fn from_folder(config: &Config, rooms: &Rooms) -> Feeding {
    let mine = Mine { name: config.reflector_name(&config::hostname()), fleet: config.access.fleet.clone() };
    let peers = config.peers_dir();
    // One that somebody named is not made: perhaps it is a mount that is not there yet, and an empty folder would let in
    // whoever `authorized_peers` names and a manifest in it suspends.
    if config.access.peers_dir.is_none()
        && let Err(error) = directory::ensure(&peers)
    {
        // Perhaps its mount is not there yet. Nothing is granted until the folder can be read, `status` and `/health` say
        // why, and it is looked for again; ending here would only hide that behind a restart loop.
        tracing::warn!(%error, path = %peers.display(), "the peers folder cannot be made: nobody is known until it is there");
    }
    let (folder, directory): (DirectoryHandle, Directory) =
        Directory::new(peers.clone(), mine.clone(), rooms.access.clone(), Arc::new(clock::now));
    let roster =
        Folder { peers: PeersDir::new(peers, mine), directory: folder, access: rooms.access.clone() };
    Feeding { feeder: Feeder::Folder(directory), roster: Some(Box::new(roster)), cluster: None }
}

fn from_api_server(config: &Config, rooms: &Rooms, place: &InCluster) -> Feeding {
    let metrics = rooms.metrics.clone();
    let (handle, cluster) = Cluster::new(cluster::Settings {
        own: place.own.clone(),
        client: place.client.clone(),
        access: rooms.access.clone(),
        base: rooms.reflector.clone(),
        state_dir: config.state_dir().to_owned(),
        clock: Arc::new(clock::now),
        // One that cannot be asked keeps no time.
        synchronised: || sys::clock_is_synchronised().unwrap_or(false),
        heard: Box::new(move || metrics.policy_event()),
    });
    Feeding { feeder: Feeder::ApiServer(Box::new(cluster)), roster: None, cluster: Some(handle) }
}

/// Keeps to what the Reflector says of a full disk, until `cancel`.
pub(super) async fn follow(cluster: Handle, audit: Audit, cancel: CancellationToken) {
    let mut changes = cluster.changes();
    loop {
        changes.mark_unchanged();
        let said = cluster
            .look(|held| Some(held.reflector()?.valid.on_audit_failure == crds::reflector::OnFailure::Deny));
        if let Some(deny) = said {
            audit.set_on_failure(if deny { OnFailure::Deny } else { OnFailure::Continue });
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            more = changes.changed() => if more.is_err() { return },
        }
    }
}
