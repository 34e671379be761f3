//! The one task that writes status: takes hints, asks for facts, sends what is due.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock::{self, Now};
use crate::metrics::{Metrics, StatusKind, StatusWrite};

use super::hints::{Hint, Hints};
use super::schedule::{Next, Schedule, Wanted};
use super::sender::Sender;
use super::subject::{Report, Subject};
use super::trouble::{Loudness, Trouble, Voice};

/// What is known about a subject at this moment.
pub type Seen = Wanted;

/// Where reports come from. Must not wait: it reads what is in memory.
pub trait Facts: Send + Sync + 'static {
    /// The subjects a hint is about; for [`Hint::Everything`] all there are.
    fn about(&self, hint: &Hint) -> Vec<Subject>;
    /// What is to be said about one; `None`: it is gone. `said` is what was last written about it.
    fn look(&self, subject: &Subject, said: Option<&Report>, now: Now) -> Option<Seen>;
}

/// What the task is made of.
pub struct Reporter {
    /// Where reports come from.
    pub facts: Arc<dyn Facts>,
    /// When to ask there.
    pub hints: Hints,
    /// Where they go.
    pub sender: Sender,
    /// Counts writes.
    pub metrics: Metrics,
    /// How often numbers of one subject are written at most.
    pub numbers_every: Duration,
    /// True once a policy was loaded; nothing is written before.
    pub loaded: watch::Receiver<bool>,
}

impl Reporter {
    /// Writes until `cancel`. A write that is on its way then is waited for, at most its deadline.
    pub async fn run(mut self, cancel: CancellationToken) {
        let loaded = async {
            // An error: nobody is left who could load a policy.
            self.loaded.wait_for(|loaded| *loaded).await.is_ok()
        };
        if cancel.run_until_cancelled(loaded).await != Some(true) {
            return cancel.cancelled().await;
        }
        let mut schedule = Schedule::new(self.numbers_every);
        schedule.open();
        self.hints.leave(Hint::Everything);
        let mut voice = Voice::default();
        while !cancel.is_cancelled() {
            let now = clock::now();
            for hint in self.hints.take() {
                self.take_up(&mut schedule, &hint, now);
            }
            match schedule.next(now.mono_ms) {
                Next::Look(subject) => {
                    self.look(&mut schedule, &subject, now);
                    schedule.looked(&subject, now.mono_ms);
                }
                Next::Write(subject, report) => {
                    self.write(&mut schedule, &mut voice, &subject, &report).await;
                }
                Next::Wait(until_ms) => {
                    cancel.run_until_cancelled(self.wait(until_ms, now.mono_ms)).await;
                }
            }
        }
    }

    async fn wait(&self, until_ms: Option<u64>, now_ms: u64) {
        let Some(until_ms) = until_ms else { return self.hints.left().await };
        // Never zero: a timer that fires a hair early would spin.
        let wait = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
        // Either way the loop looks again: a timeout is the alarm, a hint is news.
        let _alarm = timeout(wait, self.hints.left()).await;
    }

    fn take_up(&self, schedule: &mut Schedule, hint: &Hint, now: Now) {
        let subjects = self.facts.about(hint);
        if *hint == Hint::Everything {
            let gone: Vec<Subject> =
                schedule.subjects().filter(|old| !subjects.contains(old)).cloned().collect();
            for subject in &gone {
                schedule.forget(subject);
            }
        }
        for subject in &subjects {
            self.look(schedule, subject, now);
        }
    }

    fn look(&self, schedule: &mut Schedule, subject: &Subject, now: Now) {
        match self.facts.look(subject, schedule.there(subject), now) {
            Some(seen) => {
                if !schedule.want(subject, seen, now.mono_ms) {
                    self.metrics.status_written(StatusKind::of(subject), StatusWrite::NoRoom);
                }
            }
            None => schedule.forget(subject),
        }
    }

    async fn write(&self, schedule: &mut Schedule, voice: &mut Voice, subject: &Subject, report: &Report) {
        let outcome = self.sender.send(subject, report).await;
        let result = match &outcome {
            Ok(()) => StatusWrite::Ok,
            Err(failed) => StatusWrite::from(failed.trouble),
        };
        self.metrics.status_written(StatusKind::of(subject), result);
        match &outcome {
            Ok(()) if voice.went_well(subject) => tracing::info!(%subject, "status can be written again"),
            Ok(()) => {}
            Err(failed) => {
                let again = schedule.refused(subject) > 0;
                let remedy = failed.trouble.remedy();
                match voice.failed(failed.trouble, subject, again) {
                    Loudness::Error => tracing::error!(error = %failed, remedy, "status is not written"),
                    Loudness::Warning => tracing::warn!(error = %failed, remedy, "status is not written"),
                    Loudness::Quiet => tracing::debug!(error = %failed, "status is not written"),
                }
            }
        }
        let outcome = outcome.map_err(|failed| failed.trouble);
        schedule.done(subject, outcome, clock::now().mono_ms, random_share());
    }
}

impl StatusKind {
    fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Own { .. } => Self::Reflector,
            Subject::Peer { .. } => Self::Peer,
        }
    }
}

impl From<Trouble> for StatusWrite {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away => Self::Away,
            Trouble::Forbidden => Self::Forbidden,
            Trouble::Gone => Self::Gone,
            Trouble::Conflict => Self::Conflict,
            Trouble::Refused => Self::Refused,
        }
    }
}

/// Without randomness pods come back together, which costs the API server a moment and us nothing.
fn random_share() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}
