//! What limited a test is named rightly, where it is known because it was put there.

use serde_json::Value;

use crate::cable::{BUSY, Cable, Hosts, Kept, SERVER_CORE};

/// Who limited the only phase of a test, why, and everything else that was near.
fn limit(result: &Value) -> (String, String) {
    let [phase] = &result["phases"].as_array().unwrap()[..] else { panic!("one phase: {result}") };
    let word = |key: &str| phase["limit"][key].as_str().unwrap().to_owned();
    (word("by"), word("cause"))
}

/// X6, H7: a link of 100 Mbit/s.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_is_the_network() {
    let Some(cable) = Cable::plug().await else { return };
    cable.shape("100mbit");
    let hosts = Hosts::on(&cable, BUSY).await;
    for direction in ["--down", "--up"] {
        let result = hosts.test(&[direction, "-t", "4", "-P", "2"]);
        let (by, cause) = limit(&result);
        assert_eq!(by, "network", "{cause}: {}", result["phases"][0]["limit"]);
        assert!(["loss", "queue"].contains(&cause.as_str()), "{cause}");
        let mbps = result["phases"][0]["mbps"].as_f64().unwrap();
        assert!(mbps < 101.0, "{mbps} Mbit/s over a link of 100");
    }
}

/// X6: the peer's own limit, far below what the cable carries.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_policy_caps_is_the_policy() {
    let Some(cable) = Cable::plug().await else { return };
    let hosts = Hosts::on(&cable, &format!("{BUSY}max_rate = 20000000\n")).await;
    let result = hosts.test(&["--down", "-t", "4", "-P", "1"]);
    assert_eq!(limit(&result), ("policy".into(), "rate".into()), "{}", result["phases"][0]["limit"]);
}

/// X6: a host whose kernel gives its sockets 8 KiB can take no more, whatever the cable carries.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_window_is_the_receiver() {
    let Some(cable) = Cable::plug().await else { return };
    cable.shape("2gbit");
    cable.set_far("net.ipv4.tcp_rmem=4096 4096 8192");
    let hosts = Hosts::on(&cable, BUSY).await;
    let result = hosts.test(&["--down", "-t", "4", "-P", "1"]);
    assert_eq!(limit(&result).0, "receiver", "{}", result["phases"][0]["limit"]);
}

/// X6: a host whose processor has more to do than it can; the other end has one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_free_core_is_the_host() {
    let Some(cable) = Cable::plug().await else { return };
    let hosts = Hosts::with_a_core_each(&cable, BUSY).await;
    let crowd: Vec<Kept> = (0..4).map(|_| Kept::busy(SERVER_CORE)).collect();
    let result = hosts.test(&["--down", "-t", "4", "-P", "2"]);
    drop(crowd);
    assert_eq!(limit(&result), ("reflector-host".into(), "cpu".into()), "{}", result["phases"][0]["limit"]);
}
