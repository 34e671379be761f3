//! A pause in which nothing runs and nothing is granted, for whoever measures the host itself: a test of a peer beside
//! it would be wrong, and so would the measurement.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout_at;

use super::table::Core;

/// The pause. Dropping it ends it.
#[derive(Debug)]
pub struct Rest {
    core: Arc<Core>,
}

impl Rest {
    /// Waits until nothing runs, and no second half of a test is about to be asked for. Peers go first, however long that
    /// takes: whoever waits here has a deadline of its own, or none to keep.
    pub(super) async fn begin(core: &Arc<Core>, at_most: Duration) -> Self {
        let mut changes = core.changes.subscribe();
        loop {
            match core.try_rest(at_most) {
                Ok(()) => return Self { core: Arc::clone(core) },
                // Either way it is looked at again. The sender lives in `core`.
                Err(Some(free_at)) => drop(timeout_at(free_at, changes.changed()).await),
                Err(None) => drop(changes.changed().await),
            }
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.core.end_rest();
    }
}
