//! Keeps policy and contact on disk. One task, one write at a time; what changes during a write is in the next one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::handle::{Access, Clock};

use super::held::Held;
use super::kept::{Contact, next_contact};
use super::store::Store;

/// Pause after a write that failed. A full disk is no reason to wear it out.
const RETRY: Duration = Duration::from_secs(5);

/// What has to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Whatever was received up to then (milliseconds since boot) is held.
    pub(super) upto: u64,
    /// Counts the changes of what is to be kept.
    pub(super) policy: u64,
}

pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) held: Arc<Mutex<Held>>,
    pub(super) access: Access,
    pub(super) clock: Clock,
    pub(super) boot: Option<Uuid>,
    pub(super) wanted: watch::Receiver<Wanted>,
    /// Everything received up to then is on disk.
    pub(super) durable: watch::Sender<Option<u64>>,
}

impl Keeper {
    /// Runs until `cancel`; what is wanted then is written before it returns.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let (mut failing, mut written) = (false, Wanted::default());
        loop {
            // Read before what is held is: a change in between is written once too often, never once too rarely.
            let wanted = *self.wanted.borrow_and_update();
            match self.write(wanted.policy != written.policy).await {
                Ok(()) => {
                    (failing, written) = (false, wanted);
                    if wanted.upto > 0 {
                        self.durable.send_replace(Some(wanted.upto));
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "the policy cannot be kept on disk: a restart without the API server would not know it");
                    }
                    failing = true;
                }
            }
            if cancel.is_cancelled() {
                return;
            }
            let patience = if failing { RETRY } else { next_contact(self.access.offline_grace()) };
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                // Either way it is time to write: the feeder wants it, or the last contact is old.
                _due = timeout(patience, self.more(failing)) => {}
            }
        }
    }

    /// Resolves when something new is wanted; while the disk fails only the retry counts.
    async fn more(&mut self, failing: bool) {
        if failing || self.wanted.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn write(&self, policy: bool) -> io::Result<()> {
        let (store, held) = (self.store.clone(), Arc::clone(&self.held));
        let now = (self.clock)();
        // Nothing was ever loaded: there is nothing to be graceful with.
        let used = self.access.source().away_for(now.mono_ms);
        let contact = used.map(|used| Contact::at(now, used, self.boot));
        let work = move || {
            if policy {
                let kept = held.lock().unwrap_or_else(PoisonError::into_inner).to_keep();
                store.put_policy(kept.as_ref())?;
            }
            contact.map_or(Ok(()), |contact| store.put_contact(&contact))
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}
