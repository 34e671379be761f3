//! The controller of `Reflector`: `fetch → validate → build → apply → status`, for one object at a time.
//!
//! Status is written also when a step before it failed. A reconcile that finds everything as it should be writes
//! nothing. An object that cannot be read is said to be so, and never stops the others.

mod apply;
mod build;
mod caches;
mod children;
mod fetch;
mod neighbours;
mod pace;
mod peers;
mod status;
mod tally;
#[cfg(test)]
mod testing;
mod validate;
mod wakes;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::reflector::Reflector;
use kube::ResourceExt as _;

use crate::clock;
use crate::driver::{self, Controller, Done, Steps};
use crate::metrics::{Kind, Outcome};
use crate::other_release::{self, OurPart};
use crate::shared::Shared;
use crate::watches::Watches;
use crate::writing::{self, transition};
pub(crate) use build::labels::REFLECTOR as REFLECTOR_LABEL;
pub(crate) use build::names::{child as child_name, claim as claim_name};
use caches::{Caches, Written};
use pace::Pace;
use status::{OurStatus, Progress};
use tally::Tally;

/// What somebody removes who is told of it (an object of another's, a missing `StorageClass`) wakes nobody here.
const ELSEWHERE: Duration = Duration::from_secs(60);
/// The controller, with the watches of its children.
pub(crate) fn controller(shared: &Shared, watches: &mut Watches) -> Controller {
    let caches = Caches::new(watches);
    let tally = Tally::new(&shared.kinds.peers);
    let wakes = wakes::wakes(&shared.kinds, &caches);
    let steps =
        Reflectors { shared: shared.clone(), caches, tally, pace: Mutex::default(), written: Written::new() };
    driver::controller("reflectors", steps, &shared.kinds.reflectors, wakes, shared)
}

/// What every reconcile has at hand.
struct Reflectors {
    shared: Shared,
    caches: Caches,
    tally: Tally,
    pace: Mutex<Pace>,
    written: Written,
}

/// What became of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It said just this already.
    Before,
    Now,
    /// Only the number of peers differs, which is written in so long.
    Later(Duration),
}

impl Said {
    fn again(self) -> Option<Duration> {
        match self {
            Self::Before | Self::Now => None,
            Self::Later(wait) => Some(wait),
        }
    }
}

/// A reconcile that is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    #[error("build the objects of a Reflector")]
    Build(#[source] serde_json::Error),
    #[error(transparent)]
    Apply(#[from] apply::Error),
    #[error(transparent)]
    Status(#[from] writing::Error),
    #[error(transparent)]
    OtherRelease(#[from] other_release::Error),
}

impl Error {
    /// What a person is told in the condition.
    fn words(&self) -> String {
        match self {
            Self::Apply(error) => error.words(),
            Self::Status(error) => error.words(),
            other => writing::with_source(other),
        }
    }
}

impl Steps for Reflectors {
    type Object = Reflector;
    type Error = Error;
    const KIND: Kind = Kind::Reflector;
    const OURS: OurPart = OurPart {
        fields: &["node", "addresses", "peers"],
        lists: &[],
        conditions: &["Scheduled", "IdentityReady"],
    };

    fn refused(error: &Error) -> Option<&writing::Error> {
        match error {
            Error::Status(refused) => Some(refused),
            _ => None,
        }
    }

    async fn reconcile(&self, cached: &Reflector) -> Result<Done, Error> {
        let mut reflector = fetch::newest(self, cached);
        if reflector.metadata.deletion_timestamp.is_some() {
            // What is owned goes with it; the claim stays.
            return Ok(Outcome::Unchanged.into());
        }
        let mut wrote = false;
        if reflector.status.as_ref().is_none_or(|status| status.conditions.is_empty()) {
            let seen = status::first(&reflector, clock::now());
            reflector = self.write(&reflector, &seen).await?;
            wrote = true;
        }

        let mut found = fetch::fetch(self, reflector).await?;
        let plan = match validate::validate(&found, &self.shared.settings) {
            Ok(plan) => plan,
            Err(refusal) => {
                let said = self.report(&found, &Progress::Refused(&refusal)).await?;
                let again = said.again().or(refusal.waits_for_others().then_some(ELSEWHERE));
                return Ok(Done { outcome: Outcome::Invalid, again });
            }
        };
        let claim = found.children.claim.clone();
        let applied = match build::build(&plan, claim.as_deref(), &self.shared.settings) {
            Ok(desired) => {
                let apply = Box::pin(apply::apply(self, desired, &mut found.children, &plan.uid));
                apply.await.map_err(Error::from)
            }
            Err(error) => Err(Error::Build(error)),
        };
        match applied {
            Ok(changed) => wrote |= changed,
            Err(error) => {
                // What failed first is what is reported.
                if let Err(second) = self.report(&found, &Progress::Failed(&plan, error.words())).await {
                    tracing::warn!(error = &second as &dyn std::error::Error, "say what failed");
                }
                return Err(error);
            }
        }
        if found.claim.is_none() {
            found.claim.clone_from(&found.children.claim);
        }
        let said = self.report(&found, &Progress::Applied(&plan)).await?;
        let outcome = if wrote || said == Said::Now { Outcome::Ok } else { Outcome::Unchanged };
        Ok(Done { outcome, again: said.again() })
    }
}

impl Reflectors {
    /// Writes the status if it says something new, and tells the event of it.
    async fn report(&self, found: &fetch::Found, progress: &Progress<'_>) -> Result<Said, Error> {
        let ours = status::status(found, progress, clock::now());
        let reflector = &found.reflector;
        if ours.is_in(reflector) {
            return Ok(Said::Before);
        }
        if ours.differs_in_counts_at_most(reflector)
            && let Some(wait) = self.waits(reflector)
        {
            return Ok(Said::Later(wait));
        }
        let conditions = reflector.status.iter().flat_map(|status| &status.conditions);
        let before = conditions.into_iter().find(|condition| condition.type_ == "Ready").cloned();
        self.write(reflector, &ours).await?;
        if let Some(note) = ours.ready().and_then(|ready| transition(before.as_ref(), ready)) {
            self.shared.recorder.tell(&**reflector, &note).await;
        }
        Ok(Said::Now)
    }

    fn waits(&self, reflector: &Reflector) -> Option<Duration> {
        let key = (reflector.namespace().unwrap_or_default(), reflector.name_any());
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).waits(key, clock::now())
    }

    async fn write(&self, reflector: &Reflector, ours: &OurStatus) -> Result<Arc<Reflector>, Error> {
        let answer = Arc::new(self.shared.writer.apply_status(Kind::Reflector, reflector, ours).await?);
        self.written.reflectors.wrote(reflector.resource_version(), answer.clone(), clock::now());
        Ok(answer)
    }
}
