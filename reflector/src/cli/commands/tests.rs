//! Each command on a backend that does as it is told.

use clap::Parser as _;
use serde_json::json as expected;

use crate::admin::protocol::Response;
use crate::cli::args::Cli;
use crate::cli::testing::{Fake, ID, OTHER, id, json, status, text};

fn window() -> Response {
    Response::Pairing {
        code: "ABCD2345".to_owned(),
        expires_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        endpoint_id: id(ID),
    }
}

#[test]
fn pair_asks_for_a_window_and_prints_code_end_and_id() {
    let server = Fake::answering(window());
    let printed = text(&server, "pair").unwrap();
    assert_eq!(
        printed,
        format!(
            "code         ABCD2345\nvalid until  2026-01-02T03:04:05Z\nendpoint id  {ID}\n\n\
             Enter both on the appliance. The code works once.\n"
        )
    );
    assert_eq!(*server.seen.borrow(), ["ask {\"command\":\"open_pairing\",\"ttl_sec\":600}"]);
    assert_eq!(
        json(&Fake::answering(window()), "pair --ttl 90 --json"),
        expected!({"code": "ABCD2345", "expires_at": "2026-01-02T03:04:05Z", "endpoint_id": ID})
    );
}

#[test]
fn pair_close_closes_the_window() {
    let server = Fake::answering(Response::Ok);
    assert_eq!(text(&server, "pair --close").unwrap(), "the pairing window is closed\n");
    assert_eq!(*server.seen.borrow(), ["ask {\"command\":\"close_pairing\"}"]);
}

#[test]
fn a_window_lives_from_a_second_to_a_day() {
    let server = || Fake::answering(window());
    for ttl in ["1s", "24h", "1d"] {
        assert!(text(&server(), &format!("pair --ttl {ttl}")).is_ok(), "{ttl}");
    }
    for ttl in ["0", "86401", "25h", "soon"] {
        assert!(text(&server(), &format!("pair --ttl {ttl}")).is_err(), "{ttl}");
    }
    assert!(text(&server(), "pair --close --ttl 5m").is_err());
}

#[test]
fn the_servers_refusal_is_told_in_its_own_words() {
    let server = Fake::answering(Response::Error { message: "no policy yet: wait".to_owned() });
    assert_eq!(text(&server, "pair").unwrap_err().to_string(), "no policy yet: wait");
    let odd = text(&Fake::answering(Response::Ok), "status").unwrap_err().to_string();
    assert!(odd.contains("of the same version"), "{odd}");
}

/// C3
#[test]
fn status_without_a_reflector_says_how_to_start_it() {
    let error = text(&Fake::default(), "status").unwrap_err().to_string();
    assert!(error.contains("not running") && error.contains("reflector serve"), "{error}");
    let running = Fake::answering(Response::Status(Box::new(status())));
    assert!(text(&running, "status").unwrap().starts_with("serving\n"));
    assert_eq!(json(&running, "status --json")["serving"], true);
}

#[test]
fn show_id_prints_the_id_and_nothing_else() {
    assert_eq!(text(&Fake::default(), "show-id").unwrap(), format!("{ID}\n"));
    assert_eq!(
        json(&Fake::default(), "show-id --json"),
        expected!({"endpoint_id": ID, "label": id(ID).label(), "short": "7DN2-FF6E"})
    );
}

/// I4
#[test]
fn the_private_key_is_printed_to_whoever_says_so_and_nobody_else() {
    assert!(Cli::try_parse_from(["reflector", "export-identity"]).is_err());
    assert_eq!(text(&Fake::default(), "export-identity --private-key").unwrap(), "a2V5\n");
    assert_eq!(
        json(&Fake::default(), "export-identity --private-key --json"),
        expected!({"endpoint_id": ID, "private_key": "a2V5"})
    );
}

#[test]
fn a_rotation_reaches_the_running_reflector_or_says_when_it_will() {
    let rotated = Response::Rotated { old: id(ID), new: id(OTHER), backup: "/k/live".to_owned() };
    let live = Fake::answering(rotated);
    let printed = text(&live, "rotate-identity").unwrap();
    assert!(printed.contains(&format!("new          {OTHER}\nbackup       /k/live\n")), "{printed}");
    assert!(printed.contains("live tests go on"), "{printed}");
    assert_eq!(*live.seen.borrow(), ["ask {\"command\":\"rotate_identity\"}"]);
    let offline = text(&Fake::default(), "rotate-identity").unwrap();
    assert!(offline.contains("/k/old") && offline.contains("when it starts"), "{offline}");
    assert_eq!(json(&Fake::default(), "rotate-identity --json")["live"], false);
    let refusing = Fake::answering(Response::Error { message: "no space left".to_owned() });
    assert_eq!(format!("{:#}", text(&refusing, "rotate-identity").unwrap_err()), "no space left");
}

#[test]
fn the_configured_audit_log_is_verified_up_to_the_servers_last_line() {
    let live = Fake::answering(Response::AuditHead { seq: 42, hash: "ff".to_owned() });
    assert_eq!(text(&live, "audit verify").unwrap(), "intact\n");
    assert_eq!(live.seen.borrow()[1], "verify [] up to Some(42)");
    let named = Fake::default();
    text(&named, "audit verify a b").unwrap();
    assert_eq!(*named.seen.borrow(), ["verify [\"a\", \"b\"] up to None"]);
    let stopped = Fake::default();
    text(&stopped, "audit verify").unwrap();
    assert_eq!(stopped.seen.borrow()[1], "verify [] up to None");
}

#[test]
fn an_export_names_its_files_or_takes_the_configured_log() {
    let backend = Fake::default();
    assert_eq!(text(&backend, "audit export").unwrap(), "");
    text(&backend, "audit export a b").unwrap();
    assert_eq!(*backend.seen.borrow(), ["export []", "export [\"a\", \"b\"]"]);
}

#[test]
fn serve_and_self_test_reach_their_rooms() {
    let server = Fake::default();
    assert_eq!(text(&server, "serve").unwrap(), "");
    assert_eq!(*server.seen.borrow(), ["serve 0.0.0.0:4000 with Shipped"]);
    assert_eq!(text(&server, "self-test").unwrap(), "READY\n");
}
