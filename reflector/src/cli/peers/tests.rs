//! The list, and changes with and without a running server.

use serde_json::json as expected;

use super::*;
use crate::cli::testing::{Fake, ID, OTHER, TERMINAL, id, json, text};

fn manifest(name: &str, endpoint_id: Option<EndpointId>, state: &str) -> ManifestPeer {
    ManifestPeer { name: name.to_owned(), endpoint_id, state: state.to_owned() }
}

fn live(name: &str, endpoint_id: EndpointId) -> LivePeer {
    LivePeer {
        name: name.to_owned(),
        endpoint_id,
        state: "authorized".to_owned(),
        connections: 1,
        active_tests: 2,
        tests_today: 3,
        bytes_today: 4_500_000_000,
        bytes_remaining: Some(500_000_000),
        unlimited_on_loopback: false,
        last_seen: Some("2026-01-02T03:04:05.678Z".parse().unwrap()),
    }
}

fn manifests() -> Vec<ManifestPeer> {
    vec![manifest("living-room", Some(id(ID)), "authorized"), manifest("attic", None, "pairing")]
}

#[test]
fn the_list_joins_manifests_and_the_running_server() {
    let mut unlimited = live("zed", id(OTHER));
    unlimited.bytes_remaining = None;
    unlimited.last_seen = None;
    let peers = vec![live("living-room", id(ID)), unlimited];
    let server = Fake { manifests: manifests(), ..Fake::answering(Response::Peers { peers }) };
    assert_eq!(
        text(&server, "peers list").unwrap(),
        "NAME\tSTATE\tENDPOINT-ID\tTESTS\tBYTES\tREMAINING\tLAST-SEEN\n\
         attic\tpairing\t-\t-\t-\t-\t-\n\
         living-room\tauthorized\t7DN2-FF6E\t3\t4.5 GB\t500.0 MB\t2026-01-02T03:04:05Z\n\
         zed\tauthorized\t0EGG-FFZK\t3\t4.5 GB\tunlimited\t-\n"
    );
    let list = json(&server, "peers list --json");
    assert_eq!(list["running"], true);
    assert_eq!(list["peers"][1]["bytes_remaining"], 500_000_000);
    assert_eq!(list["peers"][0], expected!({"name": "attic", "state": "pairing", "endpoint_id": null}));
}

/// Removing one of two manifests shuts nobody out, and waiting for that would end in an error.
#[test]
fn a_removal_that_leaves_another_manifest_says_which_one_decides_now() {
    let server = Fake { still_named_by: vec!["b.yaml".to_owned()], ..Fake::answering(Response::Ok) };
    assert_eq!(
        text(&server, "peers remove a").unwrap(),
        "removed a (/p/a.yaml): its Endpoint ID is still named by b.yaml, which decides now\n"
    );
    assert_eq!(*server.seen.borrow(), ["remove a"], "nobody was asked to wait");
    assert_eq!(json(&server, "peers remove a --json")["still_named_by"], expected!(["b.yaml"]));
}

#[test]
fn nothing_remains_to_a_peer_that_may_not_connect() {
    let suspended =
        LivePeer { state: "suspended".to_owned(), bytes_remaining: None, ..live("attic", id(ID)) };
    let server = Fake::answering(Response::Peers { peers: vec![suspended] });
    let printed = text(&server, "peers list").unwrap();
    assert!(printed.contains("attic\tsuspended\t7DN2-FF6E\t3\t4.5 GB\t-\t2026"), "{printed}");
}

/// G6
#[test]
fn a_peer_whose_day_is_used_up_and_who_may_go_on_over_loopback_is_listed_so() {
    let used_up = |unlimited_on_loopback| LivePeer {
        bytes_remaining: Some(0),
        unlimited_on_loopback,
        ..live("attic", id(ID))
    };
    for (unlimited, said) in [(true, "0 B (loopback: unlimited)"), (false, "0 B")] {
        let server = Fake::answering(Response::Peers { peers: vec![used_up(unlimited)] });
        let printed = text(&server, "peers list").unwrap();
        assert!(printed.contains(&format!("\t4.5 GB\t{said}\t2026")), "{printed}");
        let list = json(&server, "peers list --json");
        assert_eq!(list["peers"][0]["unlimited_on_loopback"], unlimited);
    }
}

#[test]
fn without_a_running_server_the_list_has_no_live_columns() {
    let stopped = Fake { manifests: manifests(), ..Fake::default() };
    assert_eq!(
        text(&stopped, "peers list").unwrap(),
        "NAME\tSTATE\tENDPOINT-ID\tTESTS\tBYTES\tREMAINING\tLAST-SEEN\n\
         attic\tpairing\t-\t-\t-\t-\t-\n\
         living-room\tauthorized\t7DN2-FF6E\t-\t-\t-\t-\n"
    );
    assert_eq!(json(&stopped, "peers list --json")["running"], false);
}

#[test]
fn on_a_terminal_the_columns_are_aligned() {
    let table = render_peers(&merge(manifests(), None), Style { colour: false, ..TERMINAL });
    let starts: Vec<Option<usize>> =
        table.lines().map(|l| l.find("STATE").or(l.find("pairing")).or(l.find("authorized"))).collect();
    assert_eq!(starts, [Some(13); 3], "{table}");
}

#[test]
fn a_peer_that_now_names_another_id_is_not_joined_with_the_old_one() {
    let list = merge(manifests(), Some(vec![live("living-room", id(OTHER))]));
    assert_eq!(list.peers.iter().filter(|row| row.name == "living-room").count(), 2);
}

#[test]
fn a_revocation_waits_for_the_server_and_says_how_long_it_took() {
    let server = Fake::answering(Response::Revoked { connections: 2, latency_ms: 12.34 });
    assert_eq!(
        text(&server, "peers revoke living-room").unwrap(),
        "revoked living-room (/p/living-room.yaml): it is shut out, and cannot pair again; \
         2 connections closed after 12 ms\n"
    );
    let asked =
        format!("ask {{\"command\":\"await_revoked\",\"endpoint_id\":\"{ID}\",\"timeout_ms\":{CONFIRM_MS}}}");
    let one = Fake::answering(Response::Revoked { connections: 1, latency_ms: 3.0 });
    assert!(text(&one, "peers revoke attic").unwrap().ends_with("; 1 connection closed after 3 ms\n"));
    let absent = Fake::answering(Response::Revoked { connections: 0, latency_ms: 0.0 });
    assert!(text(&absent, "peers revoke attic").unwrap().ends_with("; it was not connected\n"));
    assert_eq!(*server.seen.borrow(), ["revoke living-room".to_owned(), asked]);
    assert_eq!(
        json(&server, "peers remove living-room --json"),
        expected!({
            "change": "removed", "name": "living-room", "endpoint_id": ID, "file": "/p/living-room.yaml",
            "confirmed": true, "connections_closed": 2, "latency_ms": 12.34
        })
    );
}

#[test]
fn a_change_without_a_running_server_says_when_it_takes_effect() {
    let printed = text(&Fake::default(), "peers revoke living-room").unwrap();
    assert!(printed.ends_with("the reflector is not running; it takes effect when it starts\n"), "{printed}");
    let printed = text(&Fake::default(), "peers remove waiting").unwrap();
    assert!(printed.ends_with("it had no Endpoint ID yet\n"), "{printed}");
}

#[test]
fn a_change_the_server_does_not_confirm_is_an_error_that_says_it_is_written() {
    let server = Fake::answering(Response::Error { message: "2 connections are still open".to_owned() });
    let error = format!("{:#}", text(&server, "peers revoke attic").unwrap_err());
    assert_eq!(error, "/p/attic.yaml is written, but not confirmed: 2 connections are still open");
}

#[test]
fn an_added_peer_gets_a_name_from_its_id_and_a_typo_in_the_id_is_refused() {
    let server = Fake::answering(Response::Ok);
    let printed = text(&server, &format!("peers add {ID}")).unwrap();
    assert_eq!(printed, "added peer-7dn2-ff6e (/p/peer-7dn2-ff6e.yaml): it may connect now\n");
    assert!(server.seen.borrow()[1].contains("await_authorised"));
    let error = text(&server, &format!("peers add {}M", &ID[..68])).unwrap_err().to_string();
    assert!(error.contains("check symbol 'M' at position 69 does not fit"), "{error}");
    assert!(text(&server, &format!("peers add {ID} --name Attic")).is_err());
}
