//! Conditions from verdicts: which there are, what they say, and since when.

use crds::reasons::{ConditionType as Type, PeerReason as Reason, message};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::verdicts::Verdicts;
use crate::clock::Now;
use crate::conditions::dated;

/// Those the operator writes: all there are on a peer.
const OURS: [Type; 6] =
    [Type::Ready, Type::Paired, Type::QuotaAvailable, Type::Revoked, Type::Reconciling, Type::Stalled];

/// What is said about one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) status: &'static str,
    pub(super) reason: Reason,
    pub(super) details: String,
}

impl Said {
    pub(super) fn yes(reason: Reason, details: impl Into<String>) -> Self {
        Self { status: "True", reason, details: details.into() }
    }

    pub(super) fn not(reason: Reason, details: impl Into<String>) -> Self {
        Self { status: "False", reason, details: details.into() }
    }

    pub(super) fn unknown(reason: Reason) -> Self {
        Self { status: "Unknown", reason, details: String::new() }
    }
}

/// Whether a condition of this type is written by the operator.
pub(super) fn is_ours(type_: &str) -> bool {
    OURS.iter().any(|ours| ours.as_str() == type_)
}

/// Ours, in a fixed order. What nobody can say anything about now stays as it was.
pub(super) fn render(
    verdicts: &Verdicts,
    before: &[Condition],
    generation: Option<i64>,
    now: Now,
) -> Vec<Condition> {
    let Verdicts { ready, paired, quota, revoked, reconciling, stalled } = verdicts;
    let while_true = |is: bool| is.then(|| Said { status: "True", ..ready.clone() });
    let written = |type_: Type, said: &Said| {
        let words = [type_.as_str(), said.status, said.reason.as_str()];
        let text = message(said.reason.explanation(), &said.details, said.reason.remedy());
        dated(words, text, before, generation, now)
    };
    let kept = |type_: Type| before.iter().find(|old| old.type_ == type_.as_str()).cloned();
    let told = |type_: Type, verdict: &Verdict| match verdict {
        Verdict::Now(said) => Some(written(type_, said)),
        Verdict::AsBefore => kept(type_),
        Verdict::Nothing => None,
    };
    let mut all = vec![written(Type::Ready, ready)];
    all.extend(told(Type::Paired, paired));
    all.extend(told(Type::QuotaAvailable, quota));
    all.extend(told(Type::Revoked, revoked));
    all.extend(while_true(*reconciling).map(|said| written(Type::Reconciling, &said)));
    all.extend(while_true(*stalled).map(|said| written(Type::Stalled, &said)));
    all
}

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Now(Said),
    /// The question cannot be answered now; what was said stands.
    AsBefore,
    /// The question does not arise.
    Nothing,
}
