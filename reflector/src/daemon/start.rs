//! From a configuration to rooms that know each other. Everything that can fail at start fails here, before the first
//! connection is accepted.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use crds::EndpointId;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::access::directory::{self, Directory};
use crate::access::edit::PeersDir;
use crate::access::manifest::Mine;
use crate::access::pairing::Pairing;
use crate::access::{Access, ReflectorPolicy, Settings, windows};
use crate::admin::server::AdminSocket;
use crate::audit::{self, Audit, OnFailure, Target};
use crate::clock::{self, Now};
use crate::config::{self, Config, Loaded};
use crate::engine::Engine;
use crate::health::{self, MetricsAccess};
use crate::identity::{self, Current, Statement};
use crate::ledger::Ledger;
use crate::link::features::{Feature, Features};
use crate::metrics::{CommitResult, Metrics, PerPeer};
use crate::network::{self, Position};
use crate::server::{self, Server, Services};
use crate::session::{Parts, Sessions};

use super::admin::Desk;
use super::host;
use super::observer::Records;
use super::probe::Probe;
use super::roster::Folder;
use super::watcher;

/// Extensions this build really has.
const FEATURES: Features = Features::of(&[
    Feature::Throughput,
    Feature::UdpEcho,
    Feature::Results,
    Feature::ResourceExhausted,
    Feature::Succession,
]);

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
    pairing_at_start: bool,
}

/// What is handed to tasks once.
struct Unstarted {
    control: TcpListener,
    health: TcpListener,
    admin: AdminSocket,
    directory: Directory,
}

pub(super) async fn start(loaded: Loaded, engines: Vec<Arc<dyn Engine>>) -> Result<Reflector> {
    let config = loaded.config;
    host::raise_descriptor_limit();
    // Owner only, before the first file in it: the admin socket, the key and the code of a pairing window live here.
    directory::ensure(config.state_dir())
        .with_context(|| format!("make the state folder {}", config.state_dir().display()))?;
    let admin = AdminSocket::bind(&config.admin_socket_path()).await?;
    let rooms = open_rooms(&config)?;
    let wired = wire(&config, &rooms, engines)?;
    let control = host::listen(config.network.listen_address, "control connections")?;
    let health = host::listen(config.network.listen_address_health, "health")?;
    let (listen, health_listen) = (control.local_addr()?, health.local_addr()?);
    let accepting = Arc::new(AtomicBool::new(true));
    let probe = Arc::new(Probe {
        access: rooms.access.clone(),
        audit: rooms.audit.clone(),
        ledger: rooms.ledger.clone(),
        server: wired.server.clone(),
        started: rooms.started,
        accepting: Arc::clone(&accepting),
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
        rotating: tokio::sync::Mutex::new(()),
    });
    Ok(Reflector {
        server: wired.server,
        sessions: wired.sessions,
        listen,
        health_listen,
        position: rooms.position.as_str(),
        desk,
        probe,
        parts: Mutex::new(Some(Unstarted { control, health, admin, directory: wired.directory })),
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
        pairing_at_start: config.access.pairing_enabled,
    })
}

/// What stands on its own: files, clocks, counters.
struct Rooms {
    started: Now,
    current: Current,
    metrics: Metrics,
    audit: Audit,
    ledger: Ledger,
    position: Position,
    reflector: ReflectorPolicy,
    access: Access,
    pairing: Pairing,
}

fn open_rooms(config: &Config) -> Result<Rooms> {
    let started = clock::now();
    let current = load_identity(config, started)?;
    let metrics = Metrics::new(PerPeer::Shown);
    let audit = open_audit(config, current.identity.id(), &metrics)?;
    let ledger = Ledger::open(&config.ledger_path(), Arc::new(clock::now))?;
    let counted = metrics.clone();
    ledger.report_commits(Box::new(move |ok, took| {
        counted.ledger_commit(if ok { CommitResult::Ok } else { CommitResult::Error }, took);
    }));
    let position = network::detect(config.network.deployment_mode);
    let reflector = ReflectorPolicy::from_config(&config.quotas, &config.iperf3, position);
    let access = open_access(config, &reflector, &ledger);
    let (pairing, problem) = Pairing::load(&config.pairing_path(), Arc::new(clock::now));
    if let Some(problem) = problem {
        // A lost window costs a new code; it must not keep the reflector from starting.
        tracing::warn!(%problem, "no pairing window was restored");
    }
    metrics.pairing_window(pairing.is_open());
    Ok(Rooms { started, current, metrics, audit, ledger, position, reflector, access, pairing })
}

/// What holds handles of the others.
struct Wired {
    server: Server,
    sessions: Sessions,
    identity: watch::Sender<Current>,
    directory: Directory,
}

fn wire(config: &Config, rooms: &Rooms, engines: Vec<Arc<dyn Engine>>) -> Result<Wired> {
    let mine = Mine { name: config.reflector_name(&config::hostname()), fleet: config.access.fleet.clone() };
    let peers = config.peers_dir();
    // One that somebody named is not made: perhaps it is a mount that is not there yet, and an empty folder would let in
    // whoever `authorized_peers` names and a manifest in it suspends.
    if config.access.peers_dir.is_none() {
        make_peers_folder(&peers);
    }
    let (folder, directory) =
        Directory::new(peers.clone(), mine.clone(), rooms.access.clone(), Arc::new(clock::now));
    let gate = windows::Gate::default();
    let sessions = Sessions::new(Parts {
        ledger: rooms.ledger.clone(),
        engines,
        observer: Arc::new(Records::new(rooms.audit.clone(), rooms.metrics.clone())),
        clock: Arc::new(clock::now),
        windows: Arc::new(move |policy, now| gate.closed_until(&policy.windows, now)),
    });
    let (identity, live) = watch::channel(rooms.current.clone());
    let server = Server::new(Services {
        access: rooms.access.clone(),
        pairing: rooms.pairing.clone(),
        roster: Box::new(Folder {
            peers: PeersDir::new(peers, mine),
            directory: folder,
            access: rooms.access.clone(),
        }),
        sessions: sessions.clone(),
        audit: rooms.audit.clone(),
        metrics: rooms.metrics.clone(),
        identity: live,
        ledger: rooms.ledger.clone(),
        default_summary: server::summary_of(&rooms.reflector),
        position: rooms.position.as_str(),
        features: FEATURES,
        require_alpn: config.network.require_alpn,
        started: rooms.started,
    })?;
    Ok(Wired { server, sessions, identity, directory })
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
        let cancel = stop.clone();
        core.spawn(async move {
            parts.directory.run(cancel).await;
            Ok("the watch of the peers folder")
        });
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
        let watching =
            watcher::run(self.access.clone(), self.audit.clone(), self.metrics.clone(), stop.clone());
        core.spawn(async move {
            watching.await;
            Ok("the policy watcher")
        });
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
            }
        });
        accepting
    }

    /// The last words: everything recorded is on disk when this returns.
    pub(super) async fn close(&self) -> Result<()> {
        if !self.audit.flush().await {
            tracing::error!("the end of the audit log could not be written");
        }
        self.ledger.close().await.context("write the ledger for the last time")
    }
}

fn load_identity(config: &Config, now: Now) -> Result<Current> {
    let path = &config.identity.private_key_path;
    let loaded = identity::load_or_create(path, host::in_pod())?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    if loaded.created {
        tracing::info!(path = %path.display(), "made a new identity: back up this file");
    }
    let statement = Statement::path_beside(path);
    // A broken statement costs pinning clients a manual step; it must not keep the reflector from starting.
    let succession = Statement::load(&statement, loaded.identity.id()).unwrap_or_else(|error| {
        tracing::warn!(%error, "the succession statement is not presented");
        None
    });
    Ok(Current::new(loaded.identity, succession, now.wall)?)
}

/// Perhaps its mount is not there yet. Nothing is granted until the folder can be read, `status` and `/health` say why,
/// and it is looked for again; ending here would only hide that behind a restart loop.
fn make_peers_folder(path: &Path) {
    if let Err(error) = directory::ensure(path) {
        tracing::warn!(%error, path = %path.display(), "the peers folder cannot be made: nobody is known until it is there");
    }
}

fn open_audit(config: &Config, endpoint_id: EndpointId, metrics: &Metrics) -> Result<Audit> {
    let on_failure = if config.logging.audit_deny_on_failure { OnFailure::Deny } else { OnFailure::Continue };
    let target = config.audit_path().map_or(Target::Stdout, Target::File);
    Ok(Audit::open(audit::Settings { target, endpoint_id, on_failure, metrics: metrics.clone() })?)
}

/// The policy index, on a clock whose wall never runs behind what the ledger trusts.
fn open_access(config: &Config, reflector: &ReflectorPolicy, ledger: &Ledger) -> Access {
    let ledger = ledger.clone();
    let trusted = move || {
        let now = clock::now();
        Now { wall: ledger.trusted_wall(now), ..now }
    };
    let settings = Settings {
        reflector: reflector.clone(),
        authorized_peers: config.access.authorized_peers.clone(),
        offline_grace: config.access.offline_grace,
    };
    Access::new(settings, Arc::new(trusted))
}
