//! Two clients on one path: each measures all of it in one session, and they say the same.

use serde_json::Value;

use crate::cable::{BUSY, Cable, FIRST, Hosts};

/// Of the only phase.
fn echo(result: &Value, field: &str) -> u64 {
    result["phases"][0]["echo_loaded"][field].as_u64().unwrap_or_else(|| panic!("{field}: {result}"))
}

/// X7: datagrams that are too many for the cable are lost before it, and so is the echo that goes the same way. Of four
/// sockets, because the kernel holds one back before the queue is full.
#[tokio::test(flavor = "multi_thread")]
async fn loss_is_told_apart_by_direction_in_the_session_that_causes_it() {
    let Some(cable) = Cable::plug().await else { return };
    cable.shape_in_packets("50mbit", 100);
    let hosts = Hosts::on(&cable, BUSY).await;
    for (direction, lossy, clean) in [("--down", "lost_down", "lost_up"), ("--up", "lost_up", "lost_down")] {
        let result = hosts.test(&[direction, "--udp", "80M", "-P", "4", "-t", "4"]);
        assert!(
            result["phases"][0]["udp"]["lost"].as_u64().unwrap() > 0,
            "{direction}: {}",
            result["phases"][0]["udp"]
        );
        let echoes = &result["phases"][0]["echo_loaded"];
        assert!(echo(&result, lossy) > 0, "{direction}: {echoes}");
        assert_eq!(echo(&result, clean), 0, "{direction}: {echoes}");
    }
}

/// X7, E11: 50 Mbit/s behind a queue of 50 ms, which two streams keep full.
#[tokio::test(flavor = "multi_thread")]
async fn two_clients_agree_on_rate_load_latency_and_responsiveness_of_a_path() {
    let Some(cable) = Cable::plug().await else { return };
    cable.shape("50mbit");
    let hosts = Hosts::on(&cable, BUSY).await;
    hosts.pair("second");
    let each = [FIRST, "second"].map(|who| hosts.test_as(who, &["--down", "-t", "5", "-P", "2"]));
    let ids = each.each_ref().map(|result| &result["local"]["endpoint_id"]);
    assert_ne!(ids[0], ids[1], "two identities");
    let of = |path: &str| each.each_ref().map(|result| result.pointer(path).and_then(Value::as_f64).unwrap());
    for (path, most) in [
        ("/phases/0/mbps", 1.1),
        ("/phases/0/echo_loaded/trimmed_mean_us", 1.5),
        ("/responsiveness/per_minute", 1.5),
    ] {
        let [first, second] = of(path);
        let apart = (first / second).max(second / first);
        assert!(apart < most, "{path}: {first} and {second}");
    }
    // A queue of 50 ms, most of it in use, and nothing else that could delay.
    for rise in of("/responsiveness/phases/0/p95_rise_ms") {
        assert!((10.0..75.0).contains(&rise), "{rise} ms");
    }
    for result in &each {
        let granted = hosts.bed.audit().into_iter().filter(|line| line["event_type"] == "session_granted");
        let of_this = granted.filter(|line| line["test_id"] == result["phases"][0]["test_id"]);
        assert_eq!((of_this.count(), &result["usage"]["tests"]), (1, &1.into()));
    }
}

/// E12: an address that is nothing without its interface, on the control port and on data ports.
#[tokio::test(flavor = "multi_thread")]
async fn link_local_addresses_carry_streams_datagrams_and_echo() {
    let Some(cable) = Cable::plug().await else { return };
    let range =
        ["START", "END"].map(|end| (format!("REFLECTOR__NETWORK__DATA_PORT_RANGE_{end}"), "5201".to_owned()));
    let range = range.each_ref().map(|(key, value)| (key.as_str(), value.as_str()));
    for settings in [&[][..], &range] {
        let hosts = Hosts::on_link_local(&cable, BUSY, settings).await;
        for args in [&["--up", "-t", "1"][..], &["--down", "-t", "1", "--udp", "20M"]] {
            let result = hosts.test(args);
            let phase = &result["phases"][0];
            assert_eq!((&phase["mode"], &phase["end_reason"]), (&"direct".into(), &"completed".into()));
            assert!(echo(&result, "n") > 0, "{settings:?} {args:?}: {phase}");
        }
    }
}
