//! Conditions from verdicts: which there are, what they say, and since when.

use crds::reasons::{ConditionType as Type, ReflectorReason as Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::clock::Now;
use crate::writing::cut;

/// The API server refuses longer messages; and this one is read in a terminal.
const MAX_MESSAGE: usize = 1_024;
/// A remedy that needs no saying.
const NOTHING: &str = "Nothing to do.";
/// Those the operator writes.
const OURS: [Type; 5] = [Type::Ready, Type::Scheduled, Type::IdentityReady, Type::Reconciling, Type::Stalled];

/// What is said about one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    status: &'static str,
    pub(super) reason: Reason,
    details: String,
}

impl Said {
    pub(super) fn yes(reason: Reason, details: impl Into<String>) -> Self {
        Self { status: "True", reason, details: details.into() }
    }

    pub(super) fn not(reason: Reason, details: impl Into<String>) -> Self {
        Self { status: "False", reason, details: details.into() }
    }

    pub(super) fn unknown(reason: Reason, details: impl Into<String>) -> Self {
        Self { status: "Unknown", reason, details: details.into() }
    }

    pub(super) fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// What it means, what exactly it is, and what to do.
    fn message(&self) -> String {
        let remedy = Some(self.reason.remedy()).filter(|remedy| *remedy != NOTHING).unwrap_or_default();
        let details = self.details.trim_end_matches('.');
        let details = if details.is_empty() { String::new() } else { format!("{details}.") };
        let parts = [self.reason.explanation(), &details, remedy];
        let text: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        cut(&text.join(" "), MAX_MESSAGE)
    }
}

/// What is said about all of ours.
#[derive(Debug, Clone)]
pub(super) struct Verdicts {
    pub(super) ready: Said,
    pub(super) scheduled: Option<Said>,
    pub(super) identity: Option<Said>,
    pub(super) stalled: bool,
    pub(super) reconciling: bool,
}

/// Whether a condition of this type is written by the operator.
pub(super) fn is_ours(type_: &str) -> bool {
    OURS.iter().any(|ours| ours.as_str() == type_)
}

/// Whether waiting helps. What does not pass by itself is neither progress nor at an end: `Ready` says it all.
pub(super) fn passes_by_itself(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Progressing
            | Reason::ApplyFailed
            | Reason::ClaimPending
            | Reason::Starting
            | Reason::Loading
            | Reason::Draining
    )
}

/// Ours, in a fixed order. A condition whose status did not change keeps its time.
pub(super) fn render(
    verdicts: Verdicts,
    before: &[Condition],
    generation: Option<i64>,
    now: Now,
) -> Vec<Condition> {
    let Verdicts { ready, scheduled, identity, stalled, reconciling } = verdicts;
    let while_true = |is: bool| is.then(|| Said { status: "True", ..ready.clone() });
    let all = [
        (Type::Ready, Some(ready.clone())),
        (Type::Scheduled, scheduled),
        (Type::IdentityReady, identity),
        (Type::Reconciling, while_true(reconciling)),
        (Type::Stalled, while_true(stalled)),
    ];
    let condition = |(type_, said): (Type, Option<Said>)| {
        let said = said?;
        let same = before.iter().find(|old| old.type_ == type_.as_str() && old.status == said.status);
        Some(Condition {
            type_: type_.as_str().to_owned(),
            status: said.status.to_owned(),
            reason: said.reason.as_str().to_owned(),
            message: said.message(),
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now.wall), |old| old.last_transition_time.clone()),
        })
    };
    all.into_iter().filter_map(condition).collect()
}

/// The same words, whatever the order and the time.
pub(super) fn same<'a>(there: impl Iterator<Item = &'a Condition>, wanted: &[Condition]) -> bool {
    let there: Vec<&Condition> = there.collect();
    let says = |one: &Condition, other: &Condition| {
        one.type_ == other.type_
            && one.status == other.status
            && one.reason == other.reason
            && one.message == other.message
            && one.observed_generation == other.observed_generation
    };
    there.len() == wanted.len() && wanted.iter().all(|wanted| there.iter().any(|there| says(there, wanted)))
}
