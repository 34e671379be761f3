//! Our bytes are the interface's bytes.

use serde_json::Value;

use crate::cable::{BUSY, Cable, Hosts};

/// Payload that the reflector charged for the newest session.
fn charged(hosts: &Hosts, result: &Value) -> u64 {
    let [phase] = &result["phases"].as_array().unwrap()[..] else { panic!("one phase: {result}") };
    let lines = hosts.bed.audit();
    let line = lines
        .iter()
        .find(|line| line["event_type"] == "session_completed" && line["test_id"] == phase["test_id"])
        .unwrap();
    line["bytes"].as_u64().unwrap() + line["params"]["unread_bytes"].as_u64().unwrap_or(0)
}

/// G5, X1: headers are the difference, and they are less than 1 % while the cards segment; datagrams of 1448 bytes have 42
/// of their own each.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_every_engine_are_those_of_the_interface() {
    let Some(cable) = Cable::plug().await else { return };
    let hosts = Hosts::on(&cable, BUSY).await;
    let per_datagram = (1448.0 + 42.0) / 1448.0;
    for (args, up, headers) in [
        (&["--up", "-t", "2"][..], true, 1.0),
        (&["--down", "-t", "2"], false, 1.0),
        (&["--up", "-t", "2", "--tunnel"], true, 1.0),
        (&["--down", "-t", "2", "--tunnel"], false, 1.0),
        (&["--up", "-t", "2", "--udp", "200M"], true, per_datagram),
        (&["--down", "-t", "2", "--udp", "200M"], false, per_datagram),
    ] {
        let before = cable.counted();
        let result = hosts.test(args);
        let after = cable.counted();
        let seen = if up { after.0 - before.0 } else { after.1 - before.1 };
        let ours = charged(&hosts, &result) as f64 * headers;
        // Echo beside the streams, acknowledgements of the other direction and the control connection.
        let off = (seen as f64 - ours) / ours;
        assert!(
            (-0.001..0.01).contains(&off),
            "{args:?}: {seen} on the interface, {ours} charged ({off:+.4})"
        );
    }
}
