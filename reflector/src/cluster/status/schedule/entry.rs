//! One subject: what is there, what is wanted, and when it is this one's turn.

use std::time::Duration;

use super::{Wanted, millis};
use crate::cluster::status::backoff;
use crate::cluster::status::subject::Report;
use crate::cluster::status::trouble::Trouble;
use crate::cluster::status::urgency::{self, Urgency};

/// How long numbers settle before they are written: a connection is soon followed by a test, and a test's first half by
/// its second.
pub(super) const SETTLES: Duration = Duration::from_secs(3);

/// Where a subject waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing is to be done.
    Idle,
    /// It is written when its turn comes.
    Ready(Urgency, u64),
    /// It is looked at then.
    Later(u64),
    /// It is being written.
    Sending,
}

#[derive(Debug)]
pub(super) struct Entry {
    wanted: Report,
    pub(super) there: Option<Report>,
    sending: Option<Report>,
    busy: bool,
    /// The source was asked after the numbers became due.
    pub(super) fresh: bool,
    pub(super) looked_ms: u64,
    /// Numbers are not written before a minute from here.
    wrote_ms: Option<u64>,
    /// Since when the numbers differ.
    differs_ms: Option<u64>,
    calm_ms: u64,
    pub(super) refused: u32,
    not_before_ms: u64,
    pub(super) place: Place,
}

impl Entry {
    pub(super) fn new(wanted: Wanted, now_ms: u64) -> Self {
        // What an earlier pod wrote may have been written just now: a pod that keeps restarting must not write more often.
        let wrote_ms = wanted.there.is_some().then_some(now_ms);
        Self {
            wanted: wanted.report,
            there: wanted.there,
            sending: None,
            busy: wanted.busy,
            fresh: false,
            looked_ms: now_ms,
            wrote_ms,
            differs_ms: None,
            calm_ms: now_ms,
            refused: 0,
            not_before_ms: 0,
            place: Place::Idle,
        }
    }

    pub(super) fn want(&mut self, wanted: Wanted, now_ms: u64) {
        if self.busy && !wanted.busy {
            self.calm_ms = now_ms;
        }
        (self.wanted, self.busy) = (wanted.report, wanted.busy);
    }

    /// Numbers that became due, or move without anybody saying so.
    pub(super) fn wants_a_look(&self) -> bool {
        !self.urgency().is_some_and(Urgency::at_once)
    }

    /// Where it belongs. `turn` is the next free turn, `every_ms` lies between two writes of numbers.
    pub(super) fn place_at(&mut self, now_ms: u64, turn: u64, every_ms: u64) -> Place {
        let urgency = self.urgency();
        if urgency != Some(Urgency::Numbers) {
            self.differs_ms = None;
        }
        let due_ms = match urgency {
            None if self.busy => self.looked_ms.saturating_add(every_ms),
            None => {
                self.fresh = false;
                return Place::Idle;
            }
            Some(Urgency::Numbers) => self.numbers_due(now_ms, every_ms),
            Some(_) => 0,
        };
        let due_ms = due_ms.max(self.not_before_ms);
        match urgency {
            Some(urgency) if due_ms <= now_ms && (urgency.at_once() || self.fresh) => {
                let turn = match self.place {
                    Place::Ready(_, since) => since,
                    _ => turn,
                };
                Place::Ready(urgency, turn)
            }
            _ => {
                self.fresh = false;
                Place::Later(due_ms)
            }
        }
    }

    /// It is written now.
    pub(super) fn send(&mut self) -> Report {
        self.place = Place::Sending;
        self.fresh = false;
        self.sending = Some(self.wanted.clone());
        self.wanted.clone()
    }

    /// What came of it.
    pub(super) fn sent(&mut self, outcome: Result<(), Trouble>, now_ms: u64, share: u32) {
        let sent = self.sending.take();
        match outcome {
            Ok(()) => {
                self.there = sent;
                self.wrote_ms = Some(now_ms);
                self.differs_ms = None;
                (self.refused, self.not_before_ms) = (0, 0);
            }
            Err(Trouble::Conflict | Trouble::Refused) => {
                self.not_before_ms = now_ms.saturating_add(millis(backoff::wait(self.refused, share)));
                self.refused = self.refused.saturating_add(1);
            }
            // Others wait too: the schedule knows until when.
            Err(Trouble::Away | Trouble::Forbidden | Trouble::Gone) => {}
        }
    }

    fn urgency(&self) -> Option<Urgency> {
        if !self.wanted.may_be_written() {
            return None;
        }
        urgency::of(self.there.as_ref(), &self.wanted)
    }

    fn numbers_due(&mut self, now_ms: u64, every_ms: u64) -> u64 {
        let differs_ms = *self.differs_ms.get_or_insert(now_ms);
        let spaced = self.wrote_ms.map_or(0, |wrote| wrote.saturating_add(every_ms));
        if self.fresh {
            // They have waited long enough, or moved unseen while a test ran.
            return spaced;
        }
        let at_last = differs_ms.saturating_add(every_ms);
        let settled = differs_ms.max(self.calm_ms).saturating_add(millis(SETTLES));
        spaced.max(if self.busy { at_last } else { settled.min(at_last) })
    }
}
