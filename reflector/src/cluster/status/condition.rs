//! What the pod says about itself, as conditions.

use crds::reasons::{ConditionType, ReflectorReason, message};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What is said about one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    holds: Option<bool>,
    reason: ReflectorReason,
    details: String,
}

impl Said {
    /// It is so.
    pub fn yes(reason: ReflectorReason, details: impl Into<String>) -> Self {
        Self { holds: Some(true), reason, details: details.into() }
    }

    /// It is not.
    pub fn not(reason: ReflectorReason, details: impl Into<String>) -> Self {
        Self { holds: Some(false), reason, details: details.into() }
    }

    /// Nobody knows.
    pub fn unknown(reason: ReflectorReason, details: impl Into<String>) -> Self {
        Self { holds: None, reason, details: details.into() }
    }

    fn status(&self) -> &'static str {
        match self.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }
}

/// One condition. It keeps its time while its status stays what it was.
pub(super) fn render(
    kind: ConditionType,
    said: &Said,
    generation: Option<i64>,
    before: &[Condition],
    now: Timestamp,
) -> Condition {
    let status = said.status();
    let same = before.iter().find(|old| old.type_ == kind.as_str() && old.status == status);
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: said.reason.as_str().to_owned(),
        message: message(said.reason.explanation(), &said.details, said.reason.remedy()),
        observed_generation: generation,
        last_transition_time: same.map_or_else(|| whole_seconds(now), |old| old.last_transition_time.clone()),
    }
}

/// Whether both say the same, whenever they said it.
pub(super) fn same(one: &[Condition], other: &[Condition]) -> bool {
    let says = |a: &Condition, b: &Condition| {
        a.type_ == b.type_
            && a.status == b.status
            && a.reason == b.reason
            && a.message == b.message
            && a.observed_generation == b.observed_generation
    };
    one.len() == other.len() && one.iter().all(|a| other.iter().any(|b| says(a, b)))
}

/// A time as the API server keeps it: what comes back must equal what was sent.
pub fn whole_seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn accepting(said: &Said, before: &[Condition], second: i64) -> Condition {
        render(ConditionType::Accepting, said, Some(3), before, at(second))
    }

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let listening = accepting(&Said::yes(ReflectorReason::Listening, ""), &[], 100);
        let again = accepting(
            &Said::yes(ReflectorReason::Listening, "port 4000"),
            std::slice::from_ref(&listening),
            200,
        );
        assert_eq!(again.last_transition_time.0, at(100));
        let draining = accepting(&Said::not(ReflectorReason::Draining, ""), &[again], 300);
        assert_eq!((draining.last_transition_time.0, &*draining.status), (at(300), "False"));
    }

    #[test]
    fn a_message_says_what_it_means_what_it_is_and_what_to_do() {
        let said = Said::not(ReflectorReason::ListenFailed, "bind 0.0.0.0:4000: address in use.");
        let message = accepting(&said, &[], 0).message;
        assert_eq!(
            message,
            "It cannot listen on one of its ports. bind 0.0.0.0:4000: address in use. \
             Free the port the message names, or change spec.network."
        );
    }

    #[test]
    fn the_same_words_at_another_time_are_the_same() {
        let one = accepting(&Said::yes(ReflectorReason::Listening, ""), &[], 1);
        let other = accepting(&Said::yes(ReflectorReason::Listening, ""), &[], 2);
        assert!(same(std::slice::from_ref(&one), &[other]));
        assert!(!same(std::slice::from_ref(&one), &[]));
        assert!(!same(&[one], &[accepting(&Said::not(ReflectorReason::Draining, ""), &[], 1)]));
    }
}
