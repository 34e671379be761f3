//! Every message against the bytes on file, and captured appliance frames against the Facts of pp-link/1.
//!
//! A changed byte is a changed protocol: appliances in the field abort on it. Rerun with `UPDATE_GOLDEN=1` only when
//! the change is meant.

use std::fs;
use std::path::PathBuf;

use reflector::link::message::Envelope;
use reflector::link::{FrameDecoder, decode, encode};

use super::samples::samples;

const UPDATE: &str = "UPDATE_GOLDEN=1 cargo test -p reflector --test link";

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/link").join(format!("{name}.json"))
}

#[expect(clippy::disallowed_methods, reason = "how a person asks for new golden files")]
fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// The payload of the one frame in `bytes`.
fn payload(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = FrameDecoder::new();
    decoder.push(bytes);
    let payload = decoder.pull().unwrap().expect("a whole frame").to_vec();
    assert!(!decoder.is_mid_frame(), "nothing behind the frame");
    payload
}

/// P2
#[test]
fn every_message_matches_its_golden_file_byte_for_byte() {
    for (name, message) in samples() {
        let envelope = Envelope { request_id: format!("req-{name}"), payload: message };
        let written = payload(&encode(&envelope).unwrap());
        let path = golden(name);
        if updating() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &written).unwrap();
        }
        let on_file = fs::read(&path).unwrap_or_default();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            String::from_utf8(on_file.clone()).unwrap(),
            "{} differs; if the protocol is meant to change, run: {UPDATE}",
            path.display()
        );
        assert_eq!(decode(&on_file).as_ref(), Ok(&envelope), "{name} is read back");
    }
}

/// P2
#[test]
fn the_golden_files_cover_every_type_and_nothing_else() {
    let names: Vec<_> = samples().into_iter().map(|(name, _)| name).collect();
    for kind in [
        "hello",
        "server_hello",
        "session_request",
        "session_grant",
        "session_deny",
        "session_close",
        "get_status",
        "status_snapshot",
        "get_path_meta",
        "path_meta",
        "pair_request",
        "pair_response",
        "ok",
        "error",
        "session_result",
    ] {
        let text = fs::read_to_string(golden(kind)).unwrap();
        assert!(text.contains(&format!(r#""payload":{{"type":"{kind}""#)), "{text}");
    }
    for file in fs::read_dir(golden("ok").parent().unwrap()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known = name.strip_suffix(".json").is_some_and(|n| names.contains(&n));
        assert!(known, "tests/golden/link/{name} belongs to no sample: delete it");
    }
}

/// Frames captured from an appliance: length in hex, payload.
const CAPTURED: [(&str, &str); 3] = [
    (
        "00000067",
        r#"{"request_id":"init-0","payload":{"type":"hello","version":"1.0","features":["throughput","udp_echo"]}}"#,
    ),
    (
        "0000009e",
        r#"{"request_id":"req-1","payload":{"type":"session_request","test_type":"throughput","params":{"duration_sec":30,"protocol":"tcp","streams":4,"reverse":false}}}"#,
    ),
    ("0000004b", r#"{"request_id":"req-1","payload":{"type":"pair_request","token":"abCD2345"}}"#),
];

/// P2
#[test]
fn captured_appliance_frames_are_read_and_written_byte_for_byte() {
    for (length, json) in CAPTURED {
        let mut frame = u32::from_str_radix(length, 16).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(json.as_bytes());
        let envelope = decode(&payload(&frame)).unwrap();
        assert_eq!(encode(&envelope).unwrap(), frame, "{json}");
    }
}
