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
use super::guard::{Guard, millis};
use super::limits::Worst;

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
    guard: Guard,
    reserved: bool,
}

impl Window {
    pub(super) fn open(code: Code, ttl: Duration, now: Now) -> Self {
        Self {
            code,
            opened_at: now.wall,
            expires_at: now.wall.saturating_add(ttl).unwrap_or(Timestamp::MAX),
            expires_mono_ms: now.mono_ms.saturating_add(millis(ttl)),
            guard: Guard::default(),
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
        if let Err(seconds) = self.guard.admit(source, id, now) {
            return Answer::Wait { seconds };
        }
        if self.code.matches(text) {
            if self.reserved {
                return Answer::InUse { seconds: IN_USE_WAIT_SEC };
            }
            self.reserved = true;
            return Answer::Reserved;
        }
        self.guard.wrong(source, id, now);
        Answer::Wrong
    }

    /// The enrolment failed; the code is good again.
    pub(super) fn release(&mut self) {
        self.reserved = false;
    }

    /// For `reflector status`. Never holds the code.
    pub(super) fn status(&self) -> PairingStatus {
        let worst = self.guard.top_sources().into_iter().map(|(source, n)| (source.to_string(), n));
        PairingStatus {
            expires_at: self.expires_at,
            wrong: self.guard.count(),
            slowed_since: self.guard.slowed_since(),
            top_sources: worst.collect(),
        }
    }

    /// Sources and IDs remembered, for the test that bounds them.
    #[cfg(test)]
    pub(super) fn tracked(&self) -> usize {
        self.guard.tracked()
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
            wrong: self.guard.count(),
            slowed_since: self.guard.slowed_since(),
            worst: self
                .guard
                .worst
                .top(usize::MAX)
                .into_iter()
                .map(|(source, n)| (source.address(), n))
                .collect(),
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
        let worst = Worst::restore(saved.worst.iter().copied());
        let window = Self {
            code: Code::parse(&saved.code)?,
            opened_at: saved.opened_at,
            expires_at: saved.expires_at,
            expires_mono_ms,
            guard: Guard::resume(saved.wrong, saved.slowed_since, worst, now),
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
