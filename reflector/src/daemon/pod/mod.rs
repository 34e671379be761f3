//! What makes a reflector one of a cluster, as far as the daemon wires it.
//!
//! In: the rooms of the process. Out: facts for `cluster::status`, the hints when to look at them, and the tasks that
//! tell the cluster.

mod cuts;
mod facts;
mod follow;
mod hardware;
mod made;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::access::source::Source;
use crate::cluster::status::task::Reporter;
use crate::cluster::status::{Hardware, Sender, Target, pace};
use crate::metrics::Metrics;
use crate::selfconnect::{Caller, Reached};

pub(super) use cuts::Cuts;
use facts::Rooms;
use follow::Follower;
use hardware::Surveyor;

/// The pod's side of the cluster, ready to run.
pub(super) struct Pod {
    pub(super) rooms: Rooms,
    pub(super) client: kube::Client,
    pub(super) metrics: Metrics,
    /// Tries whether the process can connect to itself.
    pub(super) caller: Caller,
    /// What came of that.
    pub(super) reached: watch::Sender<Reached>,
    /// Measures the host.
    pub(super) surveyor: Surveyor,
    /// What came of that.
    pub(super) hardware: watch::Sender<Hardware>,
}

impl Pod {
    /// Who watches over peers that lost their rights.
    pub(super) fn cuts(&self) -> Cuts {
        Cuts {
            access: self.rooms.access.clone(),
            server: self.rooms.server.clone(),
            witness: self.rooms.witness.clone(),
            durable: self.rooms.held.durable(),
            tasks: TaskTracker::new(),
        }
    }

    /// Tells the cluster how things stand, until `cancel`.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let Self { rooms, client, metrics, caller, reached, surveyor, hardware } = self;
        let target = Target { namespace: rooms.own.namespace.clone(), reflector: rooms.own.name.clone() };
        let (loaded, is_loaded) = watch::channel(false);
        let hints = rooms.witness.hints().clone();
        let follower = Follower {
            hints: hints.clone(),
            access: rooms.access.clone(),
            news: rooms.held.changes(),
            phase: rooms.server.phase(),
            audit: rooms.audit.follow_failing(),
            ledger: rooms.ledger.health(),
            reached: rooms.reached.clone(),
            hardware: rooms.hardware.clone(),
        };
        let (access, codes, tried) = (rooms.access.clone(), rooms.codes.clone(), rooms.reached.clone());
        let sender = Sender::new(client, target);
        let counted = metrics.clone();
        let reporter = Reporter {
            facts: Arc::new(rooms),
            hints,
            sender,
            metrics,
            numbers_every: pace::from_environment(),
            loaded: is_loaded,
        };
        let announce = cancel.run_until_cancelled(announce(access, tried, loaded));
        tokio::join!(
            announce,
            follower.run(cancel.clone()),
            codes.run(&counted, cancel.clone()),
            caller.run(reached, cancel.clone()),
            surveyor.run(hardware, cancel.clone()),
            reporter.run(cancel.clone())
        );
    }
}

/// What is said first has room for what comes of the first attempt at ourselves, which takes milliseconds when all is well.
const FIRST_ATTEMPT: Duration = Duration::from_secs(2);

/// Says when the policy was first what the API server has: then it is also known what is written there.
async fn announce(access: Access, mut tried: watch::Receiver<Reached>, loaded: watch::Sender<bool>) {
    let mut changes = access.changes();
    while access.source() != Source::Current {
        if changes.changed().await.is_err() {
            return;
        }
    }
    // Otherwise one write says that it is starting, and a moment later another that it serves.
    let _tried = timeout(FIRST_ATTEMPT, tried.wait_for(|reached| *reached != Reached::Untried)).await;
    loaded.send_replace(true);
}
