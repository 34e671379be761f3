//! From a configuration to rooms that know each other. Everything that can fail at start fails here, before the first
//! connection is accepted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use crds::EndpointId;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::access::cluster::Handle;
use crate::access::directory;
use crate::admin::server::AdminSocket;
use crate::audit::Audit;
use crate::config::Loaded;
use crate::engine::Placement;
use crate::engine::door::Doors;
use crate::engine::door::post::Post;
use crate::engine::site::Site;
use crate::engine::tunnel::Tunnels;
use crate::health::{self, MetricsAccess};
use crate::ledger::Ledger;
use crate::link::features::Feature;
use crate::metrics::Metrics;
use crate::server::Server;
use crate::session::{Routes, Sessions};

use super::admin::Desk;
use super::engines::Engines;
use super::feeder::{self, Feeder, in_cluster};
use super::pod::Pod;
use super::probe::Probe;
use super::wire::{open_rooms, wire};
use super::{host, watcher};

/// A core task: what it is called when it ends unasked.
type Core = JoinSet<Result<&'static str>>;

/// The rooms, wired, and their listeners, bound.
pub(super) struct Reflector {
    pub(super) server: Server,
    pub(super) sessions: Sessions,
    pub(super) listen: SocketAddr,
    pub(super) health_listen: SocketAddr,
    pub(super) position: &'static str,
    desk: Arc<Desk>,
    probe: Arc<Probe>,
    parts: Mutex<Option<Unstarted>>,
    ledger: Ledger,
    audit: Audit,
    metrics: Metrics,
    access: Access,
    metrics_access: MetricsAccess,
    accepting: Arc<AtomicBool>,
    data_on_control_port: bool,
    pairing_at_start: bool,
    /// In a cluster.
    cluster: Option<Handle>,
}

/// What is handed to tasks once.
struct Unstarted {
    control: TcpListener,
    post: Option<Post>,
    health: TcpListener,
    admin: AdminSocket,
    feeder: Feeder,
    pod: Option<Pod>,
}

pub(super) async fn start(loaded: Loaded, engines: Engines) -> Result<Reflector> {
    let config = loaded.config;
    host::raise_descriptor_limit();
    // Owner only, before the first file in it: the admin socket, the key and the code of a pairing window live here.
    directory::ensure(config.state_dir())
        .with_context(|| format!("make the state folder {}", config.state_dir().display()))?;
    let admin = AdminSocket::bind(&config.admin_socket_path()).await?;
    let rooms = open_rooms(&config)?;
    let doors = Doors::default();
    let plain = Routes::of(&config.network).plain() == Some(Placement::ControlPort);
    let (control, post) = host::control_port(config.network.listen_address, plain.then_some(&doors))?;
    let site = Site {
        control_port: control.local_addr()?.port(),
        data_ports: config.network.data_ports,
        doors,
        tunnels: Tunnels::default(),
    };
    let in_cluster = in_cluster(&config).await?;
    let wired = wire(&config, &rooms, &site, engines, in_cluster.as_ref())?;
    let policy_from = wired.feeder.policy_from();
    let health = host::listen(config.network.listen_address_health, "health")?;
    let (listen, health_listen) = (control.local_addr()?, health.local_addr()?);
    let accepting = Arc::new(AtomicBool::new(true));
    let pod = match in_cluster {
        Some(here) => Pod::of(here, &rooms, &wired, &accepting, (listen, config.state_dir()))?,
        None => None,
    };
    let probe = Arc::new(Probe {
        access: rooms.access.clone(),
        audit: rooms.audit.clone(),
        ledger: rooms.ledger.clone(),
        server: wired.server.clone(),
        started: rooms.started,
        accepting: Arc::clone(&accepting),
        tallies: wired.tallies,
        policy_from,
    });
    let desk = Arc::new(Desk {
        server: wired.server.clone(),
        sessions: wired.sessions.clone(),
        access: rooms.access.clone(),
        pairing: rooms.pairing,
        audit: rooms.audit.clone(),
        ledger: rooms.ledger.clone(),
        metrics: rooms.metrics.clone(),
        identity: wired.identity,
        key_path: config.identity.private_key_path.clone(),
        pairing_path: config.pairing_path(),
        probe: Arc::clone(&probe),
        listen,
        health_listen,
        position: rooms.position.as_str(),
        recent: wired.recent,
        rotating: tokio::sync::Mutex::new(()),
        policy_from,
    });
    Ok(Reflector {
        server: wired.server,
        sessions: wired.sessions,
        listen,
        health_listen,
        position: rooms.position.as_str(),
        desk,
        probe,
        parts: Mutex::new(Some(Unstarted { control, post, health, admin, feeder: wired.feeder, pod })),
        ledger: rooms.ledger,
        audit: rooms.audit,
        metrics: rooms.metrics,
        access: rooms.access,
        metrics_access: if config.network.metrics_public {
            MetricsAccess::Public
        } else {
            MetricsAccess::Local
        },
        accepting,
        data_on_control_port: plain || wired.features.has(Feature::Tunnel),
        pairing_at_start: config.access.pairing_enabled,
        cluster: wired.cluster,
    })
}

impl Reflector {
    pub(super) fn endpoint_id(&self) -> EndpointId {
        self.desk.identity.borrow().identity.id()
    }

    /// Starts the tasks everything depends on. The token returned ends accepting; `stop` ends the rest.
    pub(super) fn spawn_core(&self, core: &mut Core, stop: &CancellationToken) -> CancellationToken {
        let accepting = CancellationToken::new();
        let Some(parts) = self.parts.lock().ok().and_then(|mut parts| parts.take()) else { return accepting };
        let (server, accept, open) = (self.server.clone(), accepting.clone(), Arc::clone(&self.accepting));
        let cancel = stop.clone();
        core.spawn(async move {
            let result = server.accept(parts.control, &accept).await.context("accept control connections");
            open.store(false, Ordering::Release);
            result?;
            // Asked to stop accepting: the task stays until everything stops, so that its end is not taken for a failure.
            cancel.cancelled().await;
            Ok("the accept loop")
        });
        if let Some(post) = parts.post {
            let (metrics, cancel) = (self.metrics.clone(), stop.clone());
            core.spawn(async move {
                post.sort(|lost| metrics.stray_datagrams(lost), &cancel).await;
                Ok("the datagrams of the control port")
            });
        }
        let cancel = stop.clone();
        core.spawn(async move { Ok(parts.feeder.run(cancel).await) });
        if let Some(cluster) = self.cluster.clone() {
            let (audit, cancel) = (self.audit.clone(), stop.clone());
            core.spawn(async move {
                feeder::follow(cluster, audit, cancel).await;
                Ok("what the Reflector says of the audit log")
            });
        }
        let (pairing, cancel) = (self.desk.pairing.clone(), stop.clone());
        core.spawn(async move {
            pairing.run(cancel).await;
            Ok("the pairing clock")
        });
        if self.pairing_at_start {
            let (desk, cancel) = (Arc::clone(&self.desk), stop.clone());
            core.spawn(async move {
                // Dropped half-way it leaves a window without a line in the log: the reflector is stopping.
                let _opened = cancel.run_until_cancelled(desk.open_at_start()).await;
                cancel.cancelled().await;
                Ok("pairing at start")
            });
        }
        let (access, cancel) = (self.access.clone(), stop.clone());
        core.spawn(async move {
            access.run_clock(cancel).await;
            Ok("the policy clock")
        });
        let watching = watcher::run(
            self.access.clone(),
            self.sessions.clone(),
            self.audit.clone(),
            self.metrics.clone(),
            parts.pod.as_ref().map(Pod::cuts),
            stop.clone(),
        );
        core.spawn(async move {
            watching.await;
            Ok("the policy watcher")
        });
        if let Some(pod) = parts.pod {
            let cancel = stop.clone();
            core.spawn(async move {
                Box::pin(pod.run(cancel)).await;
                Ok("the writer of status")
            });
        }
        let (desk, cancel) = (Arc::clone(&self.desk), stop.clone());
        core.spawn(async move {
            parts.admin.serve(desk, cancel).await;
            Ok("the admin socket")
        });
        let (probe, metrics, cancel) = (Arc::clone(&self.probe), self.metrics.clone(), stop.clone());
        let access = self.metrics_access;
        core.spawn(async move {
            health::serve(parts.health, probe, metrics, access, cancel)
                .await
                .context("serve the health port")?;
            Ok("the health port")
        });
        let (ledger, cancel) = (self.ledger.clone(), stop.clone());
        core.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => Ok("the ledger"),
                () = ledger.ended() => Err(anyhow!("the ledger writer ended unasked")),
            }
        });
        let (audit, cancel) = (self.audit.clone(), stop.clone());
        core.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => Ok("the audit log"),
                () = audit.ended() => Err(anyhow!("the audit writer ended unasked")),
                never = audit.look_for_room() => match never {},
            }
        });
        accepting
    }

    /// A drain begins. Where data comes in on the control port, what still runs needs it to the end: the listener stays,
    /// and the server turns everybody else away.
    pub(super) fn stop_accepting(&self, accepting: &CancellationToken) {
        self.accepting.store(false, Ordering::Release);
        if !self.data_on_control_port {
            accepting.cancel();
        }
    }

    /// The last words: everything recorded is on disk when this returns.
    pub(super) async fn close(&self) -> Result<()> {
        if !self.audit.flush().await {
            tracing::error!("the end of the audit log could not be written");
        }
        self.ledger.close().await.context("write the ledger for the last time")
    }
}
