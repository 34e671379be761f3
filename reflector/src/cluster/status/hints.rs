//! How the rest of the daemon says that something happened: which peer, or everything. Never waits.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crds::EndpointId;
use tokio::sync::Notify;

/// Peers named before they are taken for everybody. A burst of that many is a change of policy.
const MOST_NAMED: usize = 256;

/// What happened to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// Something about the reflector itself.
    Own,
    /// Something about this peer: it came, it left, a test began or ended, it was denied or shut out.
    Peer(EndpointId),
    /// The policy, or everything.
    Everything,
}

/// Where hints are left. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    left: Mutex<BTreeSet<Hint>>,
    wake: Notify,
}

impl Hints {
    /// Something happened.
    pub fn leave(&self, hint: Hint) {
        let mut left = self.shared.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() >= MOST_NAMED || left.contains(&Hint::Everything) {
            left.clear();
            left.insert(Hint::Everything);
        } else {
            left.insert(hint);
        }
        drop(left);
        self.shared.wake.notify_one();
    }

    /// Everything left so far.
    pub(super) fn take(&self) -> BTreeSet<Hint> {
        std::mem::take(&mut self.shared.left.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when something was left since the last time. Cancel-safe: a notice is not lost.
    pub(crate) async fn left(&self) {
        self.shared.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> EndpointId {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&n.to_be_bytes());
        EndpointId::from_public_key(key)
    }

    #[test]
    fn the_same_hint_is_kept_once() {
        let hints = Hints::default();
        for _ in 0..3 {
            hints.leave(Hint::Own);
            hints.leave(Hint::Peer(id(1)));
        }
        assert_eq!(hints.take().len(), 2);
        assert_eq!(hints.take().len(), 0);
    }

    #[test]
    fn many_hints_become_everything_and_take_no_more_room() {
        let hints = Hints::default();
        for n in 0..10_000 {
            hints.leave(Hint::Peer(id(n)));
        }
        let left = hints.take();
        assert!(left.contains(&Hint::Everything) && left.len() <= MOST_NAMED, "{}", left.len());
    }
}
