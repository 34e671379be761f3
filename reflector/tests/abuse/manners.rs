//! Conversations that begin the wrong way.

use e2e::appliance::{Appliance, Key};
use serde_json::{Value, json};

use super::{Bed, Good, denied, error, framed, last_words, until_metric};

fn hello(version: &str) -> Value {
    json!({ "type": "hello", "version": version, "features": ["throughput", "udp_echo"] })
}

/// P6
#[tokio::test]
async fn another_major_version_is_refused_and_another_minor_is_not() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let key = Key::generate();
    bed.add(&key, "future");
    let future = Appliance::builder(key);
    let malformed = "version must be \"MAJOR.MINOR\", for example \"1.0\"";
    let table = [
        ("2.0", "major version 2 is not spoken here: offer \"1.0\""),
        ("0.9", "major version 0 is not spoken here: offer \"1.0\""),
        ("1", malformed),
        ("one.two", malformed),
        ("", malformed),
    ];
    for (version, message) in table {
        let mut connection = future.connect(bed.addr).await.unwrap();
        connection.send_raw(&framed("init-0", &hello(version))).await.unwrap();
        let answer = good.during(last_words(&mut connection)).await;
        assert_eq!(answer, error("init-0", 400, message), "{version:?}");
    }
    denied(&bed, "version").await;
    until_metric(&bed, "reflector_frames_bad_total{kind=\"version\"}", 5.0).await;
    let mut connection = future.connect(bed.addr).await.unwrap();
    connection.send_raw(&framed("init-0", &hello("1.7"))).await.unwrap();
    assert_eq!(connection.read_frame().await.unwrap()["payload"]["version"], "1.0");
}

/// P7
#[tokio::test]
async fn hello_must_come_first() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let key = Key::generate();
    bed.add(&key, "rude");
    let first_words = [
        json!({ "type": "get_status" }),
        json!({ "type": "ok" }),
        json!({ "type": "session_request", "test_type": "throughput", "params": { "duration_sec": 10 } }),
        // Denied once hello was said; before it, not even that.
        json!({ "type": "session_request", "test_type": "throughput", "params": { "duration_sec": -1 } }),
    ];
    // Strangers hear the same: nothing here depends on who asks.
    for appliance in [Appliance::builder(key), Appliance::builder(Key::generate())] {
        for words in &first_words {
            let mut connection = appliance.connect(bed.addr).await.unwrap();
            connection.send_raw(&framed("req-1", words)).await.unwrap();
            let answer = good.during(last_words(&mut connection)).await;
            assert_eq!(answer, error("req-1", 400, "the first message must be hello"), "{words}");
        }
    }
    let line = denied(&bed, "hello_missing").await;
    assert_eq!(line["decision"], "denied");
    until_metric(&bed, "reflector_frames_bad_total{kind=\"unexpected\"}", 8.0).await;
    until_metric(&bed, "reflector_session_denied_total{reason=\"invalid_params\"}", 0.0).await;
}

/// P7
#[tokio::test]
async fn hello_is_said_once_and_answers_are_not_taken() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let (_, mut connection) = bed.appliance("stutter").await;
    let unexpected = [
        (hello("1.0"), "hello was said already"),
        (hello("9.0"), "hello was said already"),
        (json!({ "type": "ok" }), "a reflector answers this message, it does not take it"),
        (
            json!({ "type": "error", "code": 400, "message": "no, you" }),
            "a reflector answers this message, it does not take it",
        ),
    ];
    for (payload, message) in unexpected {
        connection.send_raw(&framed("again", &payload)).await.unwrap();
        assert_eq!(good.during(connection.read_frame()).await.unwrap(), error("again", 400, message));
    }
    connection.status().await.unwrap();
    connection.send_raw(&framed("fifth", &hello("1.0"))).await.unwrap();
    assert_eq!(last_words(&mut connection).await, error("fifth", 400, "hello was said already"));
    until_metric(&bed, "reflector_frames_bad_total{kind=\"unexpected\"}", 5.0).await;
}
