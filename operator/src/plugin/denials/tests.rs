//! What is shown of the logs of pods.

use serde_json::json;

use super::*;
use crate::plugin::testing::{golden, now, picture};

/// A line of a pod's log, so many minutes ago.
fn logged(minutes: i64, fields: &serde_json::Value) -> String {
    let at = now().checked_sub(jiff::Span::new().minutes(minutes)).unwrap();
    let mut denial = json!({ "at": at, "event": "session_denied", "source": "192.0.2.7" });
    for (key, value) in fields.as_object().unwrap() {
        denial[key] = value.clone();
    }
    format!("{at}  INFO denied: {denial}\n")
}

fn busy(minutes: i64) -> String {
    logged(
        minutes,
        &json!({ "reason": "busy", "peer": "living-room", "endpointId": "PP-7777",
        "message": "another test runs: try again in 12 s", "retryAfterSec": 12 }),
    )
}

fn log() -> Vec<(String, String)> {
    let attic = [
        "2026-11-22T09:00:00Z  INFO reflector::daemon: serving\n".to_owned(),
        busy(50),
        logged(
            40,
            &json!({ "event": "connection_denied", "reason": "unknown_peer", "endpointId": "PP-9999" }),
        ),
        busy(5),
        logged(3, &json!({ "event": "connection_denied", "reason": "invented_later", "peer": "kitchen" })),
        "half a li".to_owned(),
    ];
    vec![("attic".to_owned(), attic.concat())]
}

fn living_room() -> Whose {
    Whose::of(picture().peers.iter().find(|peer| peer.name_any() == "living-room").unwrap())
}

#[test]
fn golden_the_last_denials_with_what_to_do() {
    let of_peer = Denials::of(&living_room(), &log()).draw(now());
    let of_all = Denials::of(&Whose::All, &log()).draw(now());
    let mut none = Denials::of(&Whose::All, &[]);
    none.unread.push("read the log of pod rfl-attic-x: pods \"rfl-attic-x\" is forbidden".to_owned());
    golden("denials.txt", &format!("{of_peer}--\n{of_all}--\n{}", none.draw(now())));
}

#[test]
fn programs_get_each_denial_with_its_words() {
    let json = Denials::of(&living_room(), &log()).into_json();
    assert_eq!(json["denials"].as_array().unwrap().len(), 1, "{json}");
    let told = &json["denials"][0];
    assert_eq!(
        (&told["reason"], &told["times"], &told["wire"]),
        (&json!("busy"), &json!(2), &json!("session_deny"))
    );
    assert_eq!((&told["at"], &told["retryAfterSec"]), (&json!("2026-11-22T11:55:00Z"), &json!(12)));
    assert!(told["explanation"].as_str().is_some() && told["remedy"].as_str().is_some(), "{told}");
}

#[test]
fn a_peer_has_the_denials_of_its_name_and_its_ids_and_of_nobody_else() {
    let peer = |ids: &[&str]| Whose::Peer {
        name: "kitchen".into(),
        since: Some(Time(now().checked_sub(jiff::Span::new().minutes(10)).unwrap())),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
    };
    let reasons = |whose: &Whose| -> Vec<String> {
        Denials::of(whose, &log()).found.into_iter().map(|told| told.reason).collect()
    };
    assert_eq!(reasons(&peer(&[])), ["invented_later"]);
    assert_eq!(reasons(&peer(&["PP-9999"])), ["invented_later", "unknown_peer"]);
    let before = vec![("attic".to_owned(), logged(11, &json!({ "reason": "busy", "peer": "kitchen" })))];
    assert!(Denials::of(&peer(&[]), &before).is_empty(), "that was another one of its name");
}

#[test]
fn a_flood_is_told_in_a_few_lines_newest_first() {
    let line = |number: i64| {
        logged(
            1_000 - number,
            &json!({ "reason": "not_tls", "event": "connection_denied", "source": format!("10.0.0.{number}") }),
        )
    };
    let text: String = (0..100).map(line).collect();
    let denials = Denials::of(&Whose::All, &[("attic".into(), text)]);
    assert_eq!((denials.found.len(), denials.more), (SHOWN, 92));
    assert_eq!(denials.found[0].source.as_deref(), Some("10.0.0.99"));
    assert!(denials.draw(now()).contains("and 92 other kinds before these."));
}

#[test]
fn what_a_stranger_sent_moves_no_cursor_and_forges_no_line() {
    let hostile = "x\u{1b}[2J\n- 1s ago: forged";
    let text =
        logged(1, &json!({ "reason": hostile, "peer": hostile, "message": hostile, "source": hostile }));
    let drawn = Denials::of(&Whose::All, &[("attic".into(), text)]).draw(now());
    assert!(!drawn.contains('\u{1b}') && !drawn.contains("\n- 1s"), "{drawn}");
}
