//! When what is written. Pure: moments are milliseconds since boot and are handed in.
//!
//! A subject has at most one entry, so what waits is bounded by the number of peers, and only its newest report is
//! written. What decides something goes at once, and takes the numbers along; numbers alone wait until a minute after
//! the last write of that subject, and until a test that runs is over or has run for a minute, so that a test costs one
//! write and that one shows its result.

mod entry;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::entry::{Entry, Place};
use super::backoff;
use super::pace::NUMBERS_EVERY;
use super::subject::{Report, Subject};
use super::trouble::{self, Trouble};
use super::urgency::Urgency;

/// Most subjects: the peers one operator is made for, and the reflector. What is beyond has no status, and works.
/// Test: `the_schedule_does_not_grow_beyond_its_bound`.
pub const MOST_SUBJECTS: usize = 10_001;

/// What a source says about a subject.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What is to be there.
    pub report: Report,
    /// What was there when this pod first saw the subject; looked at only then.
    pub there: Option<Report>,
    /// A test of this peer runs: its numbers move.
    pub busy: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Ask the source about this subject again, then say so with [`Schedule::looked`].
    Look(Subject),
    /// Write this, then say what came of it with [`Schedule::done`].
    Write(Subject, Box<Report>),
    /// Nothing before this moment; `None`: before something changes.
    Wait(Option<u64>),
}

/// The subjects and what is to be written about them.
#[derive(Debug)]
pub struct Schedule {
    numbers_every_ms: u64,
    entries: BTreeMap<Subject, Entry>,
    ready: BTreeSet<(Reverse<Urgency>, u64, Subject)>,
    later: BTreeSet<(u64, Subject)>,
    turn: u64,
    open: bool,
    away: Pause,
    forbidden: [Pause; 2],
}

/// Until when something waits, and how often in a row it failed.
#[derive(Debug, Default, Clone, Copy)]
struct Pause {
    until_ms: u64,
    failures: u32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new(NUMBERS_EVERY)
    }
}

impl Schedule {
    /// One that writes numbers of one subject this often at most.
    pub fn new(numbers_every: Duration) -> Self {
        Self {
            numbers_every_ms: millis(numbers_every),
            entries: BTreeMap::new(),
            ready: BTreeSet::new(),
            later: BTreeSet::new(),
            turn: 0,
            open: false,
            away: Pause::default(),
            forbidden: [Pause::default(); 2],
        }
    }

    /// The policy is loaded: from here on something may be written.
    pub fn open(&mut self) {
        self.open = true;
    }

    /// What is to be there. False when there is no room for another subject.
    pub fn want(&mut self, subject: &Subject, wanted: Wanted, now_ms: u64) -> bool {
        let full = self.entries.len() >= MOST_SUBJECTS;
        match self.entries.get_mut(subject) {
            Some(entry) => entry.want(wanted, now_ms),
            None if full => return false,
            None => {
                self.entries.insert(subject.clone(), Entry::new(wanted, now_ms));
            }
        }
        self.settle(subject, now_ms);
        true
    }

    /// The subject is gone: nothing is written about it any more.
    pub fn forget(&mut self, subject: &Subject) {
        if let Some(entry) = self.entries.remove(subject) {
            self.take_out(subject, &entry.place);
        }
    }

    /// Everything there is to write about.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.entries.keys()
    }

    /// The report of a subject, as far as the server is known to have it.
    pub fn there(&self, subject: &Subject) -> Option<&Report> {
        self.entries.get(subject)?.there.as_ref()
    }

    /// How often in a row this subject's own writes were refused.
    pub fn refused(&self, subject: &Subject) -> u32 {
        self.entries.get(subject).map_or(0, |entry| entry.refused)
    }

    /// What to do now. One write at a time: after [`Next::Write`] comes [`Schedule::done`].
    pub fn next(&mut self, now_ms: u64) -> Next {
        if !self.open {
            return Next::Wait(None);
        }
        if now_ms < self.away.until_ms {
            return Next::Wait(Some(self.away.until_ms));
        }
        while let Some((due, subject)) = self.later.first().cloned() {
            if due > now_ms {
                break;
            }
            self.later.pop_first();
            let Some(entry) = self.entries.get_mut(&subject) else { continue };
            entry.place = Place::Idle;
            if entry.wants_a_look() {
                entry.fresh = true;
                entry.looked_ms = now_ms;
                return Next::Look(subject);
            }
            self.settle(&subject, now_ms);
        }
        let paused = |subject: &Subject| now_ms < self.forbidden[trouble::kind(subject)].until_ms;
        let Some(first) = self.ready.iter().find(|(_, _, subject)| !paused(subject)).cloned() else {
            let ends = self.forbidden.iter().map(|pause| pause.until_ms).filter(|until| *until > now_ms);
            let rights = if self.ready.is_empty() { None } else { ends.min() };
            let due = self.later.first().map(|(due, _)| *due);
            return Next::Wait([rights, due].into_iter().flatten().min());
        };
        self.ready.remove(&first);
        let (_, _, subject) = first;
        match self.entries.get_mut(&subject) {
            Some(entry) => Next::Write(subject, Box::new(entry.send())),
            // Only what has an entry is ever ready.
            None => Next::Wait(Some(now_ms)),
        }
    }

    /// The source was asked, as [`Next::Look`] said.
    pub fn looked(&mut self, subject: &Subject, now_ms: u64) {
        self.settle(subject, now_ms);
    }

    /// What came of a write. `share` is a random number.
    pub fn done(&mut self, subject: &Subject, outcome: Result<(), Trouble>, now_ms: u64, share: u32) {
        let rights = &mut self.forbidden[trouble::kind(subject)];
        match outcome {
            Ok(()) => (self.away, *rights) = (Pause::default(), Pause::default()),
            Err(Trouble::Away) => self.away.fail(now_ms, share),
            Err(Trouble::Forbidden) => {
                rights.until_ms = now_ms.saturating_add(millis(backoff::spread(backoff::FORBIDDEN, share)));
            }
            // The server answered, and knows us.
            Err(Trouble::Gone | Trouble::Conflict | Trouble::Refused) => {
                (self.away, *rights) = (Pause::default(), Pause::default());
            }
        }
        if outcome == Err(Trouble::Gone) {
            return self.forget(subject);
        }
        let Some(entry) = self.entries.get_mut(subject) else { return };
        entry.place = Place::Idle;
        entry.sent(outcome, now_ms, share);
        self.settle(subject, now_ms);
    }

    /// Puts a subject where it belongs.
    fn settle(&mut self, subject: &Subject, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(subject) else { return };
        if entry.place == Place::Sending {
            return;
        }
        let turn = self.turn;
        let new = entry.place_at(now_ms, turn, self.numbers_every_ms);
        let old = std::mem::replace(&mut entry.place, new.clone());
        self.take_out(subject, &old);
        match new {
            Place::Ready(urgency, turn) => {
                self.turn = self.turn.max(turn.saturating_add(1));
                self.ready.insert((Reverse(urgency), turn, subject.clone()));
            }
            Place::Later(due) => {
                self.later.insert((due, subject.clone()));
            }
            Place::Idle | Place::Sending => {}
        }
    }

    fn take_out(&mut self, subject: &Subject, place: &Place) {
        match place {
            Place::Ready(urgency, turn) => {
                self.ready.remove(&(Reverse(*urgency), *turn, subject.clone()));
            }
            Place::Later(due) => {
                self.later.remove(&(*due, subject.clone()));
            }
            Place::Idle | Place::Sending => {}
        }
    }
}

impl Pause {
    fn fail(&mut self, now_ms: u64, share: u32) {
        self.until_ms = now_ms.saturating_add(millis(backoff::wait(self.failures, share)));
        self.failures = self.failures.saturating_add(1);
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
