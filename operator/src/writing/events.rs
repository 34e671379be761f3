//! Which changes are worth an event. Pure: an event is a write, so only a reason that changed is told, and once.

use crds::reasons::cut;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// The API server refuses longer notes.
const MAX_NOTE: usize = 1_000;

/// How an event is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Normal,
    Warning,
}

/// An event to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) severity: Severity,
    pub(crate) reason: String,
    pub(crate) text: String,
}

/// What to tell when a condition goes from one state to another; nothing when its reason stays.
pub(crate) fn transition(before: Option<&Condition>, after: &Condition) -> Option<Note> {
    let same = before.is_some_and(|before| before.status == after.status && before.reason == after.reason);
    // The first word about an object says only that we have seen it.
    if same || after.status == "Unknown" {
        return None;
    }
    let severity = if after.status == "True" { Severity::Normal } else { Severity::Warning };
    Some(Note { severity, reason: after.reason.clone(), text: cut(&after.message, MAX_NOTE).to_owned() })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn ready(status: &str, reason: &str, message: &str) -> Condition {
        Condition {
            type_: "Ready".into(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
            observed_generation: Some(1),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn a_changed_reason_is_told_once_and_a_changed_message_is_not() {
        let starting = ready("False", "Starting", "one");
        let told = transition(None, &starting).unwrap();
        assert_eq!((told.severity, told.reason.as_str()), (Severity::Warning, "Starting"));
        assert_eq!(transition(Some(&starting), &ready("False", "Starting", "two")), None);
        let serving = transition(Some(&starting), &ready("True", "Serving", "all is well")).unwrap();
        assert_eq!((serving.severity, serving.text.as_str()), (Severity::Normal, "all is well"));
    }

    #[test]
    fn that_an_object_was_seen_is_not_told() {
        assert_eq!(transition(None, &ready("Unknown", "Reconciling", "")), None);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let told = transition(None, &ready("False", "ApplyFailed", &"ü".repeat(2_000))).unwrap();
        assert_eq!(told.text.len(), MAX_NOTE);
    }
}
