//! Numbers and names on the protocol page are those of the code.

use std::time::Duration;

use reflector::link::decode::{MAX_FEATURES, MAX_REQUEST_ID};
use reflector::link::features::Feature;
use reflector::link::frame::MAX_PAYLOAD;
use reflector::server::limits;

use super::{PROTOCOL, names, rows, section};

/// Red when a feature is added, renamed or removed without its row.
#[test]
fn every_feature_has_its_row_and_no_row_is_without_feature() {
    let mut listed = names(section(PROTOCOL, "## Features"));
    let mut known: Vec<&str> = Feature::ALL.iter().map(|feature| feature.as_str()).collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
}

/// Red when a limit changes and the page does not, and when a row names a limit that this test does not know.
#[test]
fn every_limit_on_the_page_is_the_one_in_force() {
    let known = [
        ("payload", format!("{} bytes", grouped(MAX_PAYLOAD))),
        ("`request_id`", format!("{MAX_REQUEST_ID} bytes")),
        ("`hello.features`", format!("{MAX_FEATURES} names")),
        ("TLS handshake", time(limits::HANDSHAKE)),
        ("first message after TLS", time(limits::HELLO)),
        ("a frame, from its first byte to its last", time(limits::FRAME)),
        ("frames that cannot be understood", (limits::MAX_BAD_FRAMES - 1).to_string()),
        ("silence while no session runs", time(limits::IDLE)),
        ("control connections of one Endpoint ID", limits::MAX_PER_ID.to_string()),
    ];
    let listed = rows(section(PROTOCOL, "## Limits"));
    let listed: Vec<(&str, String)> = listed.iter().map(|row| (row[0], row[1].to_owned())).collect();
    assert_eq!(listed, known);
}

fn time(limit: Duration) -> String {
    let seconds = limit.as_secs();
    if seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

/// 1048576 → `1 048 576`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(" ")
}
