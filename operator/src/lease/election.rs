//! The election, pure: what to do next with the Lease, and until when we may write.
//!
//! The clock is monotonic and runs on while the process is stopped; the times in the Lease are for people. Another
//! holder's term is measured from when *we* first saw its last renewal, so clocks of two machines are never compared.
//! Every write names the version it replaces: of two that write at once, one is refused and reads again.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Now;

/// A holder that has not renewed for so long may be replaced.
pub(super) const TERM: Duration = Duration::from_secs(60);
/// After so long without a renewal the holder itself stops. What it has sent by then ends within a request's deadline
/// (`writing::DEADLINE`, 10 s), which leaves another 10 s before somebody else may write.
pub(super) const STOP_AFTER: Duration = Duration::from_secs(40);
/// How often the holder renews and the others look. Each renewal is a row in the datastore.
pub(super) const PERIOD: Duration = Duration::from_secs(15);
/// Pause after a request that failed: the API server may be back any moment, and there are 25 s left to reach it.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// What a Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Nobody, when empty.
    pub(super) holder: String,
    /// How long it asks the others to wait.
    pub(super) term: Duration,
    /// How often it changed hands.
    pub(super) transitions: i32,
    /// For people.
    pub(super) acquired: Timestamp,
    /// For people, and a value that differs with each renewal.
    pub(super) renewed: Timestamp,
}

/// A Lease as the API server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its resourceVersion.
    pub(super) version: String,
    pub(super) record: Record,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing before this moment (monotonic milliseconds).
    Wait(u64),
    /// Read the Lease, then tell [`Election::read`].
    Read,
    /// Make it, then tell [`Election::wrote`].
    Create(Record),
    /// Replace exactly this version, then tell [`Election::wrote`].
    Replace(String, Record),
    /// We held it and do not any more. Nothing may be written; the election is over.
    Lost,
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrote {
    /// The Lease as it is now.
    Done(Seen),
    /// Somebody else wrote in between (409).
    Conflict,
    /// No answer, or another error: whether it was written is not known.
    Failed,
}

/// One candidate's view.
#[derive(Debug)]
pub(super) struct Election {
    me: String,
    /// What was read last, and when that renewal was first seen.
    seen: Option<(Seen, u64)>,
    /// When the renewal that made us the holder was sent.
    held_since: Option<u64>,
    /// Until when the holder of a Lease that is gone may not know that it is.
    vacant_from: Option<u64>,
    /// What is in the Lease must be read again before the next decision.
    stale: bool,
    not_before: u64,
    lost: bool,
}

impl Election {
    /// `me` is unique to this process: one that comes back under its old name waits like everybody else.
    pub(super) fn new(me: String) -> Self {
        Self { me, seen: None, held_since: None, vacant_from: None, stale: true, not_before: 0, lost: false }
    }

    /// Until when (monotonic milliseconds, exclusive) this process may write.
    pub(super) fn writes_until(&self) -> Option<u64> {
        self.held_since.filter(|_| !self.lost).map(|since| after(since, STOP_AFTER))
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Now) -> Step {
        if self.writes_until().is_some_and(|until| now.mono_ms >= until) {
            self.lost = true;
        }
        if self.lost {
            return Step::Lost;
        }
        if now.mono_ms < self.not_before {
            let until = self.not_before;
            return Step::Wait(self.writes_until().map_or(until, |stop| until.min(stop)));
        }
        if self.stale {
            return Step::Read;
        }
        match &self.seen {
            None => Step::Create(self.mine(now, None)),
            Some((seen, _)) => Step::Replace(seen.version.clone(), self.mine(now, Some(&seen.record))),
        }
    }

    /// The Lease was read; `None` when there is none.
    pub(super) fn read(&mut self, found: Option<Seen>, now: Now) {
        let since = match (&self.seen, &found) {
            (Some((before, since)), Some(found)) if before.record == found.record => *since,
            _ => now.mono_ms,
        };
        let holder = found.as_ref().map_or("", |seen| seen.record.holder.as_str());
        let ours = holder == self.me;
        if self.held_since.is_some() && !ours {
            self.lost = true;
        }
        self.stale = false;
        if found.is_none() {
            self.gone(now);
        } else {
            self.vacant_from = None;
        }
        if let Some(seen) = found.as_ref().filter(|_| !ours && !holder.is_empty()) {
            let free = after(since, seen.record.term.max(TERM));
            if now.mono_ms < free {
                self.stale = true;
                self.not_before = free.min(after(now.mono_ms, PERIOD));
            }
        }
        self.seen = found.map(|seen| (seen, since));
    }

    /// There is no Lease. Who deleted it did not ask its holder, who goes on until its next renewal, and until it stops
    /// when that is not answered: its term is waited for from now on.
    fn gone(&mut self, now: Now) {
        let other = self.seen.as_ref().map(|(seen, _)| &seen.record);
        let other = other.filter(|record| !record.holder.is_empty() && record.holder != self.me);
        if let Some(record) = other {
            self.vacant_from = Some(after(now.mono_ms, record.term.max(TERM)));
        }
        if let Some(free) = self.vacant_from.filter(|free| now.mono_ms < *free) {
            self.stale = true;
            self.not_before = free.min(after(now.mono_ms, PERIOD));
        }
    }

    /// The Lease could not be read.
    pub(super) fn read_failed(&mut self, now: Now) {
        self.not_before = after(now.mono_ms, PAUSE);
    }

    /// A write that was sent at `sent` ended.
    pub(super) fn wrote(&mut self, wrote: Wrote, sent: u64, now: Now) {
        match wrote {
            Wrote::Done(seen) => {
                self.seen = Some((seen, now.mono_ms));
                self.held_since = Some(sent);
                self.not_before = after(sent, PERIOD);
            }
            Wrote::Conflict => self.stale = true,
            Wrote::Failed => {
                self.stale = true;
                self.not_before = after(now.mono_ms, PAUSE);
            }
        }
    }

    /// What to write to give the Lease up, so that nobody has to wait. Ends the election.
    pub(super) fn release(&mut self, now: Now) -> Option<(String, Record)> {
        let held = self.writes_until().is_some_and(|until| now.mono_ms < until);
        self.lost = true;
        let (seen, _) = self.seen.take().filter(|_| held)?;
        let record = Record { holder: String::new(), renewed: now.wall, ..seen.record };
        Some((seen.version, record))
    }

    fn mine(&self, now: Now, before: Option<&Record>) -> Record {
        let (acquired, transitions) = match before {
            Some(record) if record.holder == self.me => (record.acquired, record.transitions),
            Some(record) => (now.wall, record.transitions.saturating_add(1)),
            None => (now.wall, 0),
        };
        Record { holder: self.me.clone(), term: TERM, transitions, acquired, renewed: now.wall }
    }
}

fn after(moment: u64, wait: Duration) -> u64 {
    moment.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}
