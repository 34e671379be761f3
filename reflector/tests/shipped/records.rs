//! What is told about a session, and to whom: one test, one set of numbers.

use std::net::{IpAddr, Ipv4Addr};

use e2e::appliance::{Appliance, Key, Test};

use crate::{iperf, shipped};

/// E13: result, audit, `reflector status`, `get_status` and metrics agree about each session, to the byte.
#[tokio::test]
async fn every_record_of_a_session_says_the_same() {
    if !iperf::is_installed() {
        return;
    }
    let bed = shipped("[quotas]\ncooldown_sec = 0\n").await;
    let key = Key::generate();
    bed.add(&key, "attic");
    let mut connection = Appliance::builder(key).connect(bed.addr).await.unwrap();
    connection.hello_with(&["throughput", "results"]).await.unwrap();
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut moved = 0;
    for reverse in [false, true] {
        let test = Test::throughput(10).streams(2);
        let test = if reverse { test.download() } else { test };
        let grant = connection.request(&test).await.unwrap().granted().unwrap();
        let more: &[&str] = if reverse { &["-R"] } else { &[] };
        let client = iperf::run(grant.data_addr(), here, &[&["-t", "1", "-P", "2"], more].concat()).await;
        assert!(client.get("error").is_none(), "{client}");

        let result = connection.read_frame().await.unwrap()["payload"].clone();
        let id = grant.test_id.as_str();
        assert_eq!((&result["type"], &result["test_id"]), (&"session_result".into(), &id.into()));
        assert_eq!(
            (&result["end_reason"], &result["mode"]),
            (&"completed".into(), &"direct_ephemeral".into())
        );
        let bytes = result["bytes"].as_u64().unwrap();
        assert!(bytes > 0);
        moved += bytes;
        let streams = result["streams"].as_array().unwrap();
        assert_eq!(streams.len(), 2, "{result}");
        assert!(streams.iter().all(|stream| stream["sender"] == reverse), "{result}");
        assert!(result["limit"]["by"].is_string(), "{result}");

        let ended = bed.audited("session_completed", |line| line["test_id"] == id).await;
        assert_eq!((&ended["bytes"], &ended["reason"]), (&bytes.into(), &"completed".into()));
        assert_eq!(ended["params"]["streams"], result["streams"], "{ended}");
        assert_eq!(ended["params"]["mode"], result["mode"]);

        let status = bed.status();
        let told = &status["last_tests"][0];
        for name in ["test_id", "mode", "end_reason", "duration_ms", "bytes"] {
            assert_eq!(told[name], result[name], "{name}: {status}");
        }
        assert_eq!(told["mbps"], ended["params"]["mbps"]);
        let own = connection.status().await.unwrap();
        let last = &own["last_test"];
        for name in ["test_id", "duration_ms", "bytes"] {
            assert_eq!(last[name], result[name], "{name}: {own}");
        }
    }
    assert_eq!(bed.metric("reflector_session_bytes_total{type=\"throughput\"}").await, moved as f64);
    let sent = bed.metric("reflector_stream_bytes_total{direction=\"sent\"}").await;
    let received = bed.metric("reflector_stream_bytes_total{direction=\"received\"}").await;
    assert!(sent > 0.0 && received > 0.0, "{sent} {received}");
}
