//! How many codes are looked at, whoever presents them. Pure. A standalone window has one; a pod has one for all the
//! codes that wait on it.

use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;

use crate::clock::Now;
use crate::network::SourceKey;

use super::limits::{Limiter, Worst};

/// Wrong codes looked at before checking slows down: enough for clumsy thumbs, 2^-33 of the codes for a guesser.
pub const FAST_WRONG_CODES: u32 = 100;
/// After that one code per this long is looked at; searching 40 bits then takes 348 000 years.
pub const SLOW_CHECK: Duration = Duration::from_secs(10);
/// Sources named in a status.
const TOP_SOURCES: usize = 5;

/// Counts wrong codes.
#[derive(Debug, Default)]
pub struct Guard {
    wrong: u32,
    slowed_since: Option<Timestamp>,
    next_slow_check_ms: u64,
    by_source: Limiter<SourceKey>,
    by_id: Limiter<EndpointId>,
    pub(super) worst: Worst,
}

impl Guard {
    /// With counts from before, as they were saved; a slow one begins with a pause.
    pub(super) fn resume(wrong: u32, slowed_since: Option<Timestamp>, worst: Worst, now: Now) -> Self {
        let slow_wait = if slowed_since.is_some() { millis(SLOW_CHECK) } else { 0 };
        let next_slow_check_ms = now.mono_ms.saturating_add(slow_wait);
        Self { wrong, slowed_since, next_slow_check_ms, worst, ..Self::default() }
    }

    /// A code is presented. An error: it is not looked at, for so many seconds.
    pub fn admit(&mut self, source: SourceKey, id: EndpointId, now: Now) -> Result<(), u64> {
        let wait_ms = self.wait_ms(source, id, now.mono_ms);
        if wait_ms > 0 {
            return Err(wait_ms.div_ceil(1000));
        }
        if self.slowed_since.is_some() {
            self.next_slow_check_ms = now.mono_ms.saturating_add(millis(SLOW_CHECK));
        }
        Ok(())
    }

    /// It was looked at, and wrong.
    pub fn wrong(&mut self, source: SourceKey, id: EndpointId, now: Now) {
        self.wrong = self.wrong.saturating_add(1);
        self.by_source.record(source, now.mono_ms);
        self.by_id.record(id, now.mono_ms);
        self.worst.record(source);
        if self.wrong >= FAST_WRONG_CODES && self.slowed_since.is_none() {
            self.slowed_since = Some(now.wall);
            self.next_slow_check_ms = now.mono_ms.saturating_add(millis(SLOW_CHECK));
        }
    }

    /// Wrong codes so far.
    pub fn count(&self) -> u32 {
        self.wrong
    }

    /// Since when only one code per [`SLOW_CHECK`] is looked at.
    pub fn slowed_since(&self) -> Option<Timestamp> {
        self.slowed_since
    }

    /// Where most of them came from, the worst first.
    pub fn top_sources(&self) -> Vec<(SourceKey, u32)> {
        self.worst.top(TOP_SOURCES)
    }

    /// Sources and IDs remembered, for the test that bounds them.
    #[cfg(test)]
    pub(super) fn tracked(&self) -> usize {
        self.by_source.len() + self.by_id.len()
    }

    fn wait_ms(&self, source: SourceKey, id: EndpointId, mono_ms: u64) -> u64 {
        let slow = match self.slowed_since {
            Some(_) => self.next_slow_check_ms.saturating_sub(mono_ms),
            None => 0,
        };
        slow.max(self.by_source.wait_ms(&source, mono_ms)).max(self.by_id.wait_ms(&id, mono_ms))
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
