//! Conditions from verdicts: which there are, what they say, and since when.

use crds::reasons::{ConditionType as Type, ReflectorReason as Reason, message};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::clock::Now;
use crate::conditions::dated;

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

    fn message(&self) -> String {
        message(self.reason.explanation(), &self.details, self.reason.remedy())
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
        let words = [type_.as_str(), said.status, said.reason.as_str()];
        Some(dated(words, said.message(), before, generation, now))
    };
    all.into_iter().filter_map(condition).collect()
}
