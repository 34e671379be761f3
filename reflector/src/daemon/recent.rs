//! The last sessions that ended, for `reflector status`: in memory, few, newest first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::admin::protocol::EndedTest;
use crate::session::SessionRecord;

/// As many as fit a screen. The audit log has all of them.
const KEPT: usize = 10;

/// Clones share the list.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent(Arc<Mutex<VecDeque<EndedTest>>>);

impl Recent {
    pub(super) fn push(&self, record: &SessionRecord) {
        let mut list = self.lock();
        list.truncate(KEPT - 1);
        list.push_front(EndedTest {
            test_id: record.test_id,
            peer: record.peer_name.to_string(),
            test_type: record.plan.test_type,
            mode: record.mode,
            end_reason: record.reason(),
            duration_ms: u64::try_from(record.duration().as_millis()).unwrap_or(u64::MAX),
            bytes: record.bytes,
            mbps: record.mbps().filter(|_| record.bytes > 0),
            limit: record.limit().map(|limit| format!("{} / {}", limit.by, limit.cause)),
        });
    }

    pub(super) fn list(&self) -> Vec<EndedTest> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<EndedTest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
