//! What limited a test is named rightly, where it is known because it was put there.

use serde_json::Value;

use crate::cable::{BUSY, Cable, Hosts, Kept, SERVER_CORE};

/// What limited the only phase of a test, and then what else was near, in the order of the table.
fn limits(result: &Value) -> Vec<(&str, &str)> {
    let [phase] = &result["phases"].as_array().unwrap()[..] else { panic!("one phase: {result}") };
    let also = phase["limit"]["also"].as_array().unwrap();
    let all = std::iter::once(&phase["limit"]).chain(also);
    all.map(|one| (one["by"].as_str().unwrap(), one["cause"].as_str().unwrap())).collect()
}

/// The limit is this one. What comes before it can only be what this machine does besides: a processor that is wanted by
/// others too limits a run as well, and the run has to say so first.
#[track_caller]
fn is_limited(result: &Value, by: &str, causes: &[&str]) {
    let limits = limits(result);
    let before = limits.iter().take_while(|(who, why)| *who != by || !causes.contains(why));
    let before: Vec<_> = before.collect();
    let told = &result["phases"][0]["limit"];
    assert!(before.len() < limits.len(), "not {by}: {told}");
    assert!(before.iter().all(|(_, why)| ["cpu", "idle"].contains(why)), "not {by} first: {told}");
}

/// X6, H7: a link of 100 Mbit/s.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_is_the_network() {
    let Some(cable) = Cable::plug().await else { return };
    cable.shape("100mbit");
    let hosts = Hosts::on(&cable, BUSY).await;
    for direction in ["--down", "--up"] {
        let result = hosts.test(&[direction, "-t", "4", "-P", "2"]);
        is_limited(&result, "network", &["loss", "queue"]);
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
    is_limited(&result, "policy", &["rate"]);
}

/// X6: a host whose kernel gives its sockets 8 KiB can take no more, whatever the cable carries.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_window_is_the_receiver() {
    let Some(cable) = Cable::plug().await else { return };
    cable.shape("2gbit");
    cable.set_far("net.ipv4.tcp_rmem=4096 4096 8192");
    let hosts = Hosts::on(&cable, BUSY).await;
    let result = hosts.test(&["--down", "-t", "4", "-P", "1"]);
    is_limited(&result, "receiver", &["window"]);
}

/// X6: a host whose processor has more to do than it can; the other end has one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_free_core_is_the_host() {
    let Some(cable) = Cable::plug().await else { return };
    let hosts = Hosts::with_a_core_each(&cable, BUSY).await;
    let crowd: Vec<Kept> = (0..4).map(|_| Kept::busy(SERVER_CORE)).collect();
    let result = hosts.test(&["--down", "-t", "4", "-P", "2"]);
    drop(crowd);
    is_limited(&result, "reflector-host", &["cpu"]);
}
