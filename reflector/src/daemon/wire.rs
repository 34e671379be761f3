//! The rooms of one process, opened and made known to each other.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use crds::EndpointId;
use crds::names::IMPORTED_KEY;
use tokio::sync::watch;

use crate::access::cluster::Handle;
use crate::access::pairing::Pairing;
use crate::access::{Access, ReflectorPolicy, Settings, windows};
use crate::audit::{self, Audit, OnFailure, Target};
use crate::clock::{self, Now};
use crate::cluster::pairing::Codes;
use crate::cluster::status::Witness;
use crate::config::Config;
use crate::engine::site::Site;
use crate::identity::{self, Current, Statement};
use crate::ledger::Ledger;
use crate::link::features::Features;
use crate::metrics::{CommitResult, Metrics, PerPeer};
use crate::network::{self, Position};
use crate::server::{self, Entrance, Server, Services};
use crate::session::{Parts, Routes, Sessions};

use super::engines::{Engines, Placed};
use super::feeder::{Feeder, Feeding, InCluster, feeding};
use super::host;
use super::observer::Records;
use super::recent::Recent;
use super::tallies::Tallies;

/// What stands on its own: files, clocks, counters.
pub(super) struct Rooms {
    pub(super) started: Now,
    pub(super) current: Current,
    pub(super) metrics: Metrics,
    pub(super) audit: Audit,
    pub(super) ledger: Ledger,
    pub(super) position: Position,
    pub(super) reflector: ReflectorPolicy,
    pub(super) access: Access,
    pub(super) pairing: Pairing,
}

pub(super) fn open_rooms(config: &Config) -> Result<Rooms> {
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
pub(super) struct Wired {
    pub(super) features: Features,
    pub(super) recent: Recent,
    pub(super) tallies: Tallies,
    pub(super) server: Server,
    pub(super) sessions: Sessions,
    pub(super) identity: watch::Sender<Current>,
    pub(super) feeder: Feeder,
    /// In a cluster: what is known of its objects.
    pub(super) cluster: Option<Handle>,
    /// In a cluster: what happens to its peers.
    pub(super) witness: Option<Witness>,
    /// In a cluster: the codes that wait for appliances.
    pub(super) codes: Option<Codes>,
}

pub(super) fn wire(
    config: &Config,
    rooms: &Rooms,
    site: &Site,
    engines: Engines,
    in_cluster: Option<&InCluster>,
) -> Result<Wired> {
    let Feeding { feeder, roster, cluster } = feeding(config, rooms, in_cluster);
    let witness = in_cluster.map(|_| Witness::default());
    let codes = in_cluster.zip(cluster.clone()).zip(witness.clone()).map(|((place, held), witness)| {
        Codes::new(place.own.clone(), held, rooms.access.clone(), witness, Arc::new(clock::now))
    });
    let entrance = match (roster, &codes) {
        (Some(roster), _) => Entrance::Window { pairing: rooms.pairing.clone(), roster },
        (None, Some(codes)) => Entrance::Codes(codes.clone()),
        (None, None) => bail!("there is no way in for new appliances: a bug"),
    };
    let gate = windows::Gate::default();
    let features = engines.features();
    let recent = Recent::default();
    let Placed { engines, refused } = engines.at(site);
    let sessions = Sessions::new(Parts {
        ledger: rooms.ledger.clone(),
        engines,
        observer: Arc::new(Records::new(
            rooms.audit.clone(),
            rooms.metrics.clone(),
            recent.clone(),
            witness.clone(),
        )),
        clock: Arc::new(clock::now),
        windows: Arc::new(move |policy, now| gate.closed_until(&policy.windows, now)),
        routes: Routes::of(&config.network),
    });
    let (identity, live) = watch::channel(rooms.current.clone());
    let server = Server::new(Services {
        access: rooms.access.clone(),
        entrance,
        sessions: sessions.clone(),
        doors: site.doors.clone(),
        tunnels: site.tunnels.clone(),
        audit: rooms.audit.clone(),
        metrics: rooms.metrics.clone(),
        identity: live,
        ledger: rooms.ledger.clone(),
        default_summary: server::summary_of(&rooms.reflector),
        position: rooms.position.as_str(),
        features,
        require_alpn: config.network.require_alpn,
        started: rooms.started,
        witness: witness.clone(),
    })?;
    let tallies = Tallies::new(refused, site.doors.clone(), site.tunnels.clone());
    Ok(Wired { features, recent, tallies, server, sessions, identity, feeder, cluster, witness, codes })
}

fn load_identity(config: &Config, now: Now) -> Result<Current> {
    let path = &config.identity.private_key_path;
    let loaded = if host::in_pod() {
        identity::load_or_import(path, Path::new(IMPORTED_KEY), true)?
    } else {
        identity::load_or_create(path, false)?
    };
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
