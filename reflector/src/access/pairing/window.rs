//! An open window, pure: code, life, wrong codes, the reservation of a right one.
//!
//! Nobody outside can close it: wrong codes slow checking down, they never end it. A code that was right is set aside
//! until the caller has made the peer durable or gives it back.

use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use crate::admin::protocol::PairingStatus;
use crate::clock::Now;
use crate::network::SourceKey;

use super::code::Code;
use super::limits::{Limiter, Worst};

/// Wrong codes looked at before checking slows down: enough for clumsy thumbs, 2^-33 of the codes for a guesser.
pub const FAST_WRONG_CODES: u32 = 100;
/// After that one code per this long is looked at; searching 40 bits then takes 348 000 years.
pub const SLOW_CHECK: Duration = Duration::from_secs(10);
/// Sources named in a status.
const TOP_SOURCES: usize = 5;
/// What a second appliance with the right code is told to wait while the first one is being enrolled.
const IN_USE_WAIT_SEC: u64 = 5;

/// What came of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Right, and set aside.
    Reserved,
    /// Wrong.
    Wrong,
    /// Not looked at: too many wrong ones before.
    Wait {
        /// Until it would be.
        seconds: u64,
    },
    /// Right, but another appliance is just being enrolled with it.
    InUse {
        /// When to ask again.
        seconds: u64,
    },
}

/// An open window.
#[derive(Debug)]
pub(super) struct Window {
    code: Code,
    opened_at: Timestamp,
    expires_at: Timestamp,
    expires_mono_ms: u64,
    wrong: u32,
    slowed_since: Option<Timestamp>,
    next_slow_check_ms: u64,
    by_source: Limiter<SourceKey>,
    by_id: Limiter<EndpointId>,
    worst: Worst,
    reserved: bool,
}

impl Window {
    pub(super) fn open(code: Code, ttl: Duration, now: Now) -> Self {
        Self {
            code,
            opened_at: now.wall,
            expires_at: now.wall.saturating_add(ttl).unwrap_or(Timestamp::MAX),
            expires_mono_ms: now.mono_ms.saturating_add(millis(ttl)),
            wrong: 0,
            slowed_since: None,
            next_slow_check_ms: 0,
            by_source: Limiter::default(),
            by_id: Limiter::default(),
            worst: Worst::default(),
            reserved: false,
        }
    }

    pub(super) fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Over when either clock says so: a jump forward ends it early, a jump backward does not prolong it. A code that is
    /// set aside was presented in time.
    pub(super) fn is_over(&self, now: Now) -> bool {
        !self.reserved && self.remaining(now).is_zero()
    }

    /// What is left of its life.
    pub(super) fn remaining(&self, now: Now) -> Duration {
        let wall = Duration::try_from(self.expires_at.duration_since(now.wall)).unwrap_or(Duration::ZERO);
        wall.min(Duration::from_millis(self.expires_mono_ms.saturating_sub(now.mono_ms)))
    }

    /// Whether the code is set aside.
    pub(super) fn is_reserved(&self) -> bool {
        self.reserved
    }

    /// An appliance presents a code.
    pub(super) fn attempt(&mut self, source: SourceKey, id: EndpointId, text: &str, now: Now) -> Answer {
        let wait = self.wait_ms(source, id, now.mono_ms);
        if wait > 0 {
            return Answer::Wait { seconds: wait.div_ceil(1000) };
        }
        if self.slowed_since.is_some() {
            self.next_slow_check_ms = now.mono_ms.saturating_add(millis(SLOW_CHECK));
        }
        if self.code.matches(text) {
            if self.reserved {
                return Answer::InUse { seconds: IN_USE_WAIT_SEC };
            }
            self.reserved = true;
            return Answer::Reserved;
        }
        self.wrong = self.wrong.saturating_add(1);
        self.by_source.record(source, now.mono_ms);
        self.by_id.record(id, now.mono_ms);
        self.worst.record(source);
        if self.wrong >= FAST_WRONG_CODES && self.slowed_since.is_none() {
            self.slowed_since = Some(now.wall);
            self.next_slow_check_ms = now.mono_ms.saturating_add(millis(SLOW_CHECK));
        }
        Answer::Wrong
    }

    /// The enrolment failed; the code is good again.
    pub(super) fn release(&mut self) {
        self.reserved = false;
    }

    /// For `reflector status`. Never holds the code.
    pub(super) fn status(&self) -> PairingStatus {
        let worst = self.worst.top(TOP_SOURCES).into_iter().map(|(source, n)| (source.to_string(), n));
        PairingStatus {
            expires_at: self.expires_at,
            wrong: self.wrong,
            slowed_since: self.slowed_since,
            top_sources: worst.collect(),
        }
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

    /// As it goes to disk.
    pub(super) fn save(&self, now: Now, boot: &str) -> Saved {
        Saved {
            version: SAVED_VERSION,
            code: self.code.to_string(),
            opened_at: self.opened_at,
            expires_at: self.expires_at,
            boot: boot.to_owned(),
            expires_mono_ms: self.expires_mono_ms,
            remaining_ms: millis(self.remaining(now)),
            wrong: self.wrong,
            slowed_since: self.slowed_since,
            worst: self.worst.top(usize::MAX).into_iter().map(|(source, n)| (source.address(), n)).collect(),
        }
    }

    /// Back from disk, with its code and counts, if it is still open. `None` when it is over, or when a clock that was
    /// set back over a reboot leaves nobody who could tell.
    pub(super) fn restore(saved: &Saved, now: Now, boot: &str) -> Option<Self> {
        let same_boot = saved.boot == boot;
        if saved.version != SAVED_VERSION || (!same_boot && now.wall < saved.opened_at) {
            return None;
        }
        let left = now.mono_ms.saturating_add(saved.remaining_ms);
        let expires_mono_ms = if same_boot { saved.expires_mono_ms.min(left) } else { left };
        let slow_wait = if saved.slowed_since.is_some() { millis(SLOW_CHECK) } else { 0 };
        let window = Self {
            code: Code::parse(&saved.code)?,
            opened_at: saved.opened_at,
            expires_at: saved.expires_at,
            expires_mono_ms,
            wrong: saved.wrong,
            slowed_since: saved.slowed_since,
            next_slow_check_ms: now.mono_ms.saturating_add(slow_wait),
            by_source: Limiter::default(),
            by_id: Limiter::default(),
            worst: Worst::restore(saved.worst.iter().copied()),
            reserved: false,
        };
        (!window.is_over(now)).then_some(window)
    }
}

const SAVED_VERSION: u32 = 1;

/// A window on disk.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    code: String,
    opened_at: Timestamp,
    expires_at: Timestamp,
    /// The boot the next field counts from.
    boot: String,
    expires_mono_ms: u64,
    /// At the time of saving; only ever shrinks.
    remaining_ms: u64,
    wrong: u32,
    slowed_since: Option<Timestamp>,
    worst: Vec<(IpAddr, u32)>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
