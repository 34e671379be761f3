//! Whether this process may write, for everybody who writes.

use tokio::sync::watch;

use crate::clock::{self, Now};

/// A handle to the answer. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    until: Until,
}

#[derive(Debug, Clone)]
enum Until {
    /// The only operator there is.
    Always,
    Lease(watch::Receiver<Option<u64>>),
}

impl Standing {
    /// Without election.
    pub(crate) const fn alone() -> Self {
        Self { until: Until::Always }
    }

    pub(super) fn new(until: watch::Receiver<Option<u64>>) -> Self {
        Self { until: Until::Lease(until) }
    }

    /// Asked before each write.
    pub(crate) fn may_write(&self, now: Now) -> bool {
        match &self.until {
            Until::Always => true,
            Until::Lease(until) => until.borrow().is_some_and(|until| now.mono_ms < until),
        }
    }

    /// Returns once this process may write. Never, when it never may; a caller gives up with its task.
    pub(crate) async fn won(&mut self) {
        let Until::Lease(until) = &mut self.until else { return };
        let may = |until: &Option<u64>| until.is_some_and(|until| clock::now().mono_ms < until);
        if until.wait_for(may).await.is_err() {
            // The keeper is gone, and the process with it.
            std::future::pending::<()>().await;
        }
    }
}
