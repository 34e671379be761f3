//! Follows the rooms and leaves a hint when something about the reflector, or about everybody, may be different.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::cluster::status::{Hardware, Hint, Hints};
use crate::ledger::Health;
use crate::selfconnect::Reached;
use crate::server::Phase;

/// Everybody is looked at this often at most: with ten thousand peers a look takes a while, and each write about one of
/// them comes back as news.
const EVERYBODY_EVERY: Duration = Duration::from_secs(1);

/// What is followed.
pub(crate) struct Follower {
    pub(crate) hints: Hints,
    pub(crate) access: Access,
    /// News from the API server.
    pub(crate) news: watch::Receiver<u64>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) audit: watch::Receiver<bool>,
    pub(crate) ledger: watch::Receiver<Health>,
    pub(crate) reached: watch::Receiver<Reached>,
    pub(crate) hardware: watch::Receiver<Hardware>,
}

impl Follower {
    /// Runs until `cancel`.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let Self { hints, access, mut news, mut phase, mut audit, mut ledger, mut reached, mut hardware } =
            self;
        let mut policy = access.changes();
        let own = async {
            loop {
                tokio::select! {
                    changed = phase.changed() => if changed.is_err() { return },
                    changed = audit.changed() => if changed.is_err() { return },
                    changed = ledger.changed() => if changed.is_err() { return },
                    changed = reached.changed() => if changed.is_err() { return },
                    changed = hardware.changed() => if changed.is_err() { return },
                }
                hints.leave(Hint::Own);
            }
        };
        let everybody = async {
            loop {
                tokio::select! {
                    changed = policy.changed() => if changed.is_err() { return },
                    changed = news.changed() => if changed.is_err() { return },
                }
                hints.leave(Hint::Everything);
                // What changes meanwhile is one change afterwards.
                if timeout(EVERYBODY_EVERY, cancel.cancelled()).await.is_ok() {
                    return;
                }
            }
        };
        let both = async { tokio::join!(own, everybody) };
        // Whoever is followed ends with the process, or before it: there is nothing to do then but wait.
        let _followed = cancel.run_until_cancelled(both).await;
        cancel.cancelled().await;
    }
}
