//! Watches a peer that lost its rights until nothing of it is left, and until that is on disk: only then it is shut out.

use std::time::Duration;

use crds::EndpointId;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::access::policy::Refusal;
use crate::clock;
use crate::cluster::status::Witness;
use crate::server::Server;

/// How long a cut and its write may take before nothing is reported: sockets are gone within 2 s, and a disk that takes
/// a minute is another matter, which the ledger reports.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever lost its rights. Clones share everything.
#[derive(Clone)]
pub(crate) struct Cuts {
    pub(crate) access: Access,
    pub(crate) server: Server,
    pub(crate) witness: Witness,
    /// Up to when what was received is on disk.
    pub(crate) durable: watch::Receiver<Option<u64>>,
    pub(crate) tasks: TaskTracker,
}

impl Cuts {
    /// This peer lost its rights just now. One task per cut: as many as peers were authorised, and it ends within
    /// [`PATIENCE`].
    pub(crate) fn lost(&self, id: EndpointId, refusal: &Refusal) {
        // Without its object there is no status to say it in.
        if matches!(refusal, Refusal::Removed | Refusal::Unknown | Refusal::NeverLoaded | Refusal::GraceOver)
        {
            return;
        }
        // The end of a time was written down when it was set.
        let on_disk = (!matches!(refusal, Refusal::Expired { .. })).then(|| self.access.received_mono_ms());
        let since_mono_ms = self.access.subscribe(id).borrow().since_mono_ms;
        let cuts = self.clone();
        self.tasks.spawn(async move {
            if timeout(PATIENCE, cuts.enforced(id, since_mono_ms, on_disk)).await.is_err() {
                tracing::warn!(peer = %id.short(), "a revocation is not reported: a socket or the disk took too long");
            }
        });
    }

    async fn enforced(mut self, id: EndpointId, since_mono_ms: u64, on_disk: Option<u64>) {
        self.server.gone(id).await;
        let latency_ms = match self.server.revocation_of(&id, since_mono_ms) {
            Some(cut) => cut.latency_ms,
            // It was not connected: shut out as soon as we knew.
            None => millis(clock::now().mono_ms.saturating_sub(since_mono_ms)),
        };
        if let Some(received) = on_disk {
            let written = self.durable.wait_for(|durable| durable.is_some_and(|until| until >= received));
            if written.await.is_err() {
                // The feeder is gone, and the process is about to be.
                return;
            }
        }
        self.witness.shut_out(id, clock::now().wall, latency_ms);
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a cut, far below 2^52")]
fn millis(ms: u64) -> f64 {
    ms as f64
}
