//! The controller of `ReflectorFleet`: `fetch → validate → decide → apply → status`, for one object at a time.
//!
//! In: a fleet, the nodes and its members. Out: one Reflector per node that matches, which the Reflectors' own controller
//! takes from there. `decide` says what to do and `rollout` whose turn it is, without a client; nothing here touches a
//! pod. A reconcile that finds everything as it should be writes nothing.

mod apply;
mod decide;
mod edits;
mod fetch;
mod member;
mod names;
mod rollout;
mod rows;
mod status;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod wakes;

use std::sync::Arc;
use std::time::Duration;

use crds::fleet::{self, ReflectorFleet, ReflectorFleetStatus};
use crds::reflector::Reflector;
use kube::ResourceExt as _;

use crate::clock;
use crate::driver::{self, Controller, Done, Steps};
use crate::metrics::{Kind, Outcome};
use crate::other_release::{self, OurPart};
use crate::shared::Shared;
use crate::writing::{self, Overlay, transition};
use status::Progress;

/// A claim changes its owner while no watch of ours looks.
const SOON: Duration = Duration::from_secs(2);
/// Whoever removes a Reflector whose name is wanted wakes nobody here.
const ELSEWHERE: Duration = Duration::from_secs(60);
/// The controller. Everything it watches is watched for others too.
pub(crate) fn controller(shared: &Shared) -> Controller {
    let steps = Fleets { shared: shared.clone(), statuses: Overlay::new(), members: Overlay::new() };
    driver::controller("fleets", steps, &shared.kinds.fleets, wakes::wakes(&shared.kinds), shared)
}

/// What every reconcile has at hand.
struct Fleets {
    shared: Shared,
    /// What was written and is not in the caches yet.
    statuses: Overlay<ReflectorFleet>,
    members: Overlay<Reflector>,
}

/// A reconcile that is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    #[error("build the members of a ReflectorFleet")]
    Build(#[from] serde_json::Error),
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

impl Steps for Fleets {
    type Object = ReflectorFleet;
    type Error = Error;
    const KIND: Kind = Kind::ReflectorFleet;
    const OURS: OurPart = OurPart {
        fields: &["desired", "ready", "updated", "unavailable", "members"],
        lists: &[],
        conditions: &[],
    };

    fn refused(error: &Error) -> Option<&writing::Error> {
        match error {
            Error::Status(refused) => Some(refused),
            _ => None,
        }
    }

    async fn reconcile(&self, cached: &ReflectorFleet) -> Result<Done, Error> {
        let mut fleet = fetch::newest(self, cached);
        if fleet.metadata.deletion_timestamp.is_some() {
            // Members are owned: they go with it, and their claims as `retain` says.
            return Ok(Outcome::Unchanged.into());
        }
        let mut wrote = false;
        if fleet.status.as_ref().is_none_or(|status| status.conditions.is_empty()) {
            let begun = status::status(&fleet, &Progress::Begun, clock::now());
            fleet = self.write(&fleet, &begun).await?;
            wrote = true;
        }
        let valid = match fleet::validate(&fleet) {
            Ok(valid) => valid,
            Err(problems) => {
                self.report(&fleet, &Progress::Refused(&problems)).await?;
                return Ok(Outcome::Invalid.into());
            }
        };
        let mut found = fetch::fetch(self, fleet);
        let decision = match self.decide(&mut found, &valid).await {
            Ok(decision) => decision,
            Err(error) => {
                return Err(self.failed(&found.fleet, &Progress::Failed(&error.words()), error).await);
            }
        };
        let mut decision = decision;
        let applied = apply::apply(self, &decision.steps).await;
        decision.rows.retain(|row| !applied.not_made.contains(&row.name));
        if let Some(error) = applied.error {
            let words = error.words();
            let progress = Progress::Applied(&decision, Some(&words));
            return Err(self.failed(&found.fleet, &progress, error.into()).await);
        }
        wrote |= applied.wrote;
        wrote |= self.report(&found.fleet, &Progress::Applied(&decision, None)).await?;
        let outcome = if wrote { Outcome::Ok } else { Outcome::Unchanged };
        let elsewhere = (!decision.taken.is_empty()).then_some(ELSEWHERE);
        Ok(Done { outcome, again: decision.look_again_soon.then_some(SOON).or(elsewhere) })
    }
}

impl Fleets {
    async fn decide(
        &self,
        found: &mut fetch::Found,
        valid: &fleet::ValidFleet,
    ) -> Result<decide::Decision, Error> {
        let claims = fetch::claims(self, &decide::to_prune(found, valid)).await?;
        found.kept_claims = claims;
        Ok(decide::decide(found, valid)?)
    }

    /// Says what failed. What failed first is what is reported.
    async fn failed(&self, fleet: &ReflectorFleet, progress: &Progress<'_>, error: Error) -> Error {
        if let Err(second) = self.report(fleet, progress).await {
            tracing::warn!(error = &second as &dyn std::error::Error, "say what failed");
        }
        error
    }

    /// Writes the status if it says something new, and tells the event of it. Says whether it did.
    async fn report(&self, fleet: &ReflectorFleet, progress: &Progress<'_>) -> Result<bool, Error> {
        let status = status::status(fleet, progress, clock::now());
        if status::is_in(&status, fleet) {
            return Ok(false);
        }
        let ready = |status: &ReflectorFleetStatus| {
            status.conditions.iter().find(|condition| condition.type_ == "Ready").cloned()
        };
        let before = fleet.status.as_ref().and_then(ready);
        self.write(fleet, &status).await?;
        if let Some(note) = ready(&status).and_then(|ready| transition(before.as_ref(), &ready)) {
            self.shared.recorder.tell(fleet, &note).await;
        }
        Ok(true)
    }

    async fn write(
        &self,
        fleet: &ReflectorFleet,
        status: &ReflectorFleetStatus,
    ) -> Result<Arc<ReflectorFleet>, Error> {
        let answer = Arc::new(self.shared.writer.apply_status(Kind::ReflectorFleet, fleet, status).await?);
        self.statuses.wrote(fleet.resource_version(), answer.clone(), clock::now());
        Ok(answer)
    }
}
