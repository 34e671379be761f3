//! Frames of the wrong size or speed.

use std::time::Duration;

use e2e::appliance::{Appliance, Error, Key, envelope, frame};
use serde_json::json;
use tokio::time::{Instant, interval};

use super::{Bed, Good, closes, denied, error, framed, last_words, padded, status_of_size, until_metric};

const MEBIBYTE: usize = 1_048_576;

/// P1
#[tokio::test]
async fn one_byte_over_a_mebibyte_gets_an_error_frame() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (_, mut connection) = bed.appliance("large").await;
    connection.send_raw(&status_of_size("exact", MEBIBYTE)).await.unwrap();
    let answer = connection.read_frame().await.unwrap();
    assert_eq!(
        (&answer["request_id"], &answer["payload"]["type"]),
        (&"exact".into(), &"status_snapshot".into())
    );
    // Sending a whole mebibyte into a connection that is closed may fail; the answer is there all the same.
    let (_, answer) = good
        .during(async {
            let sent = connection.send_raw(&status_of_size("over", MEBIBYTE + 1)).await;
            (sent, last_words(&mut connection).await)
        })
        .await;
    let message = "a frame of 1048577 bytes is too large: send at most 1048576 bytes of payload";
    assert_eq!(answer, error("", 400, message));
    denied(&bed, "oversized_frame").await;
    until_metric(&bed, "reflector_frames_bad_total{kind=\"oversized\"}", 1.0).await;
}

/// P1
#[tokio::test]
async fn strangers_may_send_small_frames_only() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let hello = |bytes| {
        let hello = json!({ "type": "hello", "version": "1.0", "features": ["throughput", "udp_echo"] });
        padded(envelope("init-0", &hello), bytes)
    };
    let stranger = Appliance::builder(Key::generate());
    let too_large = |announced: u64| {
        error(
            "",
            400,
            &format!("a frame of {announced} bytes is too large: send at most 4096 bytes of payload"),
        )
    };

    let mut largest = stranger.connect(bed.addr).await.unwrap();
    largest.send_raw(&hello(4096)).await.unwrap();
    assert_eq!(last_words(&mut largest).await["payload"]["code"], 403, "read, and refused for who it is");
    let mut larger = stranger.connect(bed.addr).await.unwrap();
    larger.send_raw(&hello(4097)).await.unwrap();
    assert_eq!(good.during(last_words(&mut larger)).await, too_large(4097));

    // While pairing, too; known from one moment to the next, it may send what everybody may.
    let code = bed.pair();
    let mut pairing = stranger.connect(bed.addr).await.unwrap();
    pairing.send_raw(&hello(4096)).await.unwrap();
    assert_eq!(pairing.read_frame().await.unwrap()["payload"]["type"], "server_hello");
    let (mut other, _) = stranger.open(bed.addr).await.unwrap();
    other.send_raw(&status_of_size("req-1", 4097)).await.unwrap();
    assert_eq!(last_words(&mut other).await, too_large(4097));
    assert_eq!(pairing.pair(&code).await.unwrap()["success"], true);
    pairing.send_raw(&status_of_size("paired", MEBIBYTE)).await.unwrap();
    assert_eq!(pairing.read_frame().await.unwrap()["request_id"], "paired");
    let mut known = stranger.connect(bed.addr).await.unwrap();
    known.send_raw(&hello(MEBIBYTE)).await.unwrap();
    assert_eq!(known.read_frame().await.unwrap()["payload"]["type"], "server_hello");
}

/// P9
#[tokio::test]
async fn one_byte_a_second_is_closed() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (_, mut connection) = bed.appliance("dripping").await;
    let question = framed("req-1", &json!({ "type": "get_status" }));
    assert!(question.len() > 30, "long enough to outlast the deadline");
    let began = Instant::now();
    let dripping = async {
        let mut second = interval(Duration::from_secs(1));
        for byte in question.iter().take(30) {
            second.tick().await;
            if connection.send_raw(&[*byte]).await.is_err() {
                break;
            }
        }
        closes(&mut connection).await;
    };
    good.during(dripping).await;
    assert!(began.elapsed() >= Duration::from_secs(10), "{:?}", began.elapsed());
    denied(&bed, "slow_frame").await;
    until_metric(&bed, "reflector_frames_bad_total{kind=\"slow\"}", 1.0).await;
}

/// P7
#[tokio::test]
async fn bad_json_and_unknown_types_get_error_400_with_their_request_id() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (_, mut connection) = bed.appliance("confused").await;
    let table: [(&[u8], &str, &str); 4] = [
        (
            br#"{"request_id":"r1","payload":{"type":"launch","x":1}}"#,
            "r1",
            "unknown message type \"launch\"",
        ),
        (br#"{"request_id":"r2","payload":{"type":"get_status""#, "r2", "the payload is not a JSON envelope"),
        (b"\xff\xfe{}", "", "the payload is not UTF-8: send JSON text"),
        (
            br#"{"request_id":"r4","payload":{"type":"session_close"}}"#,
            "r4",
            "bad session_close: missing field `test_id`",
        ),
    ];
    for (payload, request_id, message) in table {
        connection.send_raw(&frame::encode(payload)).await.unwrap();
        let answer = good.during(connection.read_frame()).await.unwrap();
        assert_eq!((&answer["request_id"], &answer["payload"]["code"]), (&request_id.into(), &400.into()));
        assert!(answer["payload"]["message"].as_str().unwrap().starts_with(message), "{answer}");
    }
    connection.status().await.unwrap();
    until_metric(&bed, "reflector_frames_bad_total{kind=\"unknown_type\"}", 1.0).await;
    until_metric(&bed, "reflector_frames_bad_total{kind=\"bad_json\"}", 3.0).await;
}

/// P7
#[tokio::test]
async fn the_fifth_bad_frame_closes() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (_, mut connection) = bed.appliance("fuzzing").await;
    for _ in 0..4 {
        connection.send_raw(&frame::encode(b"nonsense")).await.unwrap();
        assert_eq!(connection.read_frame().await.unwrap()["payload"]["code"], 400);
        // Good frames in between are answered, and forgive nothing.
        connection.status().await.unwrap();
    }
    connection.send_raw(&frame::encode(b"nonsense")).await.unwrap();
    assert_eq!(good.during(last_words(&mut connection)).await["payload"]["code"], 400);
    assert!(matches!(connection.status().await, Err(Error::Ended { .. })));
    denied(&bed, "bad_frames").await;
    until_metric(&bed, "reflector_connections_refused_total{reason=\"bad_frames\"}", 1.0).await;
}
