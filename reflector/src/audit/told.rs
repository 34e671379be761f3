//! Denials for the log. The audit log is a file that only the reflector's own user can read; whoever may read the log of a
//! pod is to see there who was denied, and why: `kubectl reflector why` does. Pure.

use crds::reasons::Denial;
use jiff::Timestamp;

use super::event::Event;

/// What the decision of such an event is called.
pub(super) const DENIED: &str = "denied";

/// The denial that an event is about.
pub(super) fn denial(event: &Event, at: Timestamp) -> Option<Denial> {
    let reason = event.reason.filter(|_| event.decision == Some(DENIED))?;
    let detail = || Some(event.params.as_ref()?.get("detail")?.as_str()?.to_owned());
    let denial = Denial {
        at,
        event: event.kind.as_str().to_owned(),
        reason: reason.to_owned(),
        peer: event.peer_name.clone(),
        endpoint_id: event.peer_id.map(|id| id.to_string()),
        source: event.source.map(|source| source.to_string()),
        message: event.message.clone().or_else(detail),
        retry_after_sec: event.retry_after_sec,
        suppressed: 0,
    };
    Some(denial.bounded())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::event::EventType;
    use super::*;

    fn at() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_denial_is_told_with_the_words_the_appliance_got() {
        let event = Event {
            peer_name: Some("attic".into()),
            source: Some("192.0.2.7".parse().unwrap()),
            decision: Some(DENIED),
            reason: Some("rate_limited"),
            message: Some("the pause is not over".into()),
            retry_after_sec: Some(4),
            params: Some(json!({ "duration_sec": 30 })),
            ..Event::new(EventType::SessionDenied)
        };
        let told = denial(&event, at()).unwrap();
        assert_eq!((told.event.as_str(), told.reason.as_str()), ("session_denied", "rate_limited"));
        assert_eq!((told.peer.as_deref(), told.source.as_deref()), (Some("attic"), Some("192.0.2.7")));
        assert_eq!((told.message.as_deref(), told.retry_after_sec), (Some("the pause is not over"), Some(4)));
        assert_eq!(told.at, at());
    }

    #[test]
    fn the_detail_of_an_event_stands_for_words_it_has_not() {
        let event = Event {
            decision: Some(DENIED),
            reason: Some("wrong_alpn"),
            params: Some(json!({ "detail": "h2" })),
            ..Event::new(EventType::ConnectionDenied)
        };
        assert_eq!(denial(&event, at()).unwrap().message.as_deref(), Some("h2"));
    }

    #[test]
    fn what_was_allowed_and_counts_without_reason_are_no_denials() {
        for event in [
            Event { decision: Some("allowed"), reason: Some("x"), ..Event::new(EventType::SessionGranted) },
            Event { decision: Some(DENIED), ..Event::new(EventType::ConnectionDenied) },
            Event { reason: Some("completed"), ..Event::new(EventType::SessionCompleted) },
        ] {
            assert_eq!(denial(&event, at()), None, "{event:?}");
        }
    }
}
