//! One hash at a time, off the event loop. Whoever comes while too many wait is sent away: hashing costs us more than
//! whoever asks for it.

use std::sync::Arc;

use crds::pairing::{Code, SecretKey, memory};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Codes that may wait for their turn. A hash takes a tenth of a second on a Raspberry Pi, so the last of them waits about a
/// second. Test: `codes_beyond_the_queue_are_sent_away`.
pub(super) const QUEUE: usize = 8;

/// The place where codes are hashed. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Hashing {
    queue: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// Somebody's turn: nobody else's code is looked at while it lasts.
#[derive(Debug)]
pub(super) struct Turn {
    _queued: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { queue: Arc::new(Semaphore::new(QUEUE)), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Hashing {
    /// Waits for its turn; `None`: too many do.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let queued = Arc::clone(&self.queue).try_acquire_owned().ok()?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        Some(Turn { _queued: queued, _turn: turn })
    }
}

impl Turn {
    /// The keys of a code, one for each of these uids. The turn lasts until the hash is done, even if nobody waits for it
    /// any more: a thread that hashes cannot be stopped.
    pub(super) async fn derive(self, code: Code, references: Vec<String>) -> Option<(Self, Vec<SecretKey>)> {
        let hashed = tokio::task::spawn_blocking(move || {
            // Mapped for this hash, and given back to the system with it.
            let mut memory = memory();
            let keys = references.iter().map(|uid| SecretKey::derive(&code, uid, &mut memory).ok());
            let keys: Option<Vec<SecretKey>> = keys.collect();
            drop(memory);
            keys.map(|keys| (self, keys))
        });
        // A panic is a bug of the hash; the code was not looked at.
        hashed.await.ok().flatten()
    }
}
