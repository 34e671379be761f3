//! Tests that run to their end.

use serde_json::Value;
use tokio::net::TcpStream;

use crate::bed::until;
use crate::forwarder::Forwarder;
use crate::iperf;

fn streams(result: &Value) -> usize {
    result["end"]["streams"].as_array().map_or(0, Vec::len)
}

/// E9, C2: one port is open, three kinds of test complete, and every record says how the data went.
#[tokio::test]
async fn stock_iperf3_measures_through_the_one_open_port() {
    if !iperf::is_installed() {
        return;
    }
    let forwarder = Forwarder::start("[quotas]\ncooldown_sec = 0\n").await;
    let up = forwarder.iperf3(&["-t", "1", "-P", "4"]).await;
    assert!(iperf::received(&up) > 1_000_000 && streams(&up) == 4, "{up}");
    let down = forwarder.iperf3(&["-t", "1", "-P", "3", "-R"]).await;
    assert!(iperf::received(&down) > 1_000_000 && streams(&down) == 3, "{down}");
    let both = forwarder.iperf3(&["-t", "1", "--bidir"]).await;
    assert!(iperf::received(&both) > 1_000_000 && streams(&both) == 2, "{both}");
    for more in [&[][..], &["-R"]] {
        let udp =
            forwarder.iperf3(&[&["-u", "-t", "1", "-b", "4M", "-l", "1000", "-P", "2"], more].concat()).await;
        assert!(udp.get("error").is_none(), "{udp}");
        let sum = &udp["end"]["sum"];
        assert!(sum["packets"].as_f64().unwrap() > 500.0, "{udp}");
    }
    // What is under way when the client says that it has sent all is not waited for, as without a tunnel.
    let bytes = forwarder.iperf3(&["-n", "30000000"]).await;
    assert!(iperf::received(&bytes) >= 1_000_000, "{bytes}");
    forwarder.says("UDP down, 2 streams").await;
    let granted = || {
        let granted =
            forwarder.bed.audit().into_iter().filter(|line| line["event_type"] == "session_granted");
        Some(granted.collect()).filter(|granted: &Vec<Value>| granted.len() == 6)
    };
    let records = until(granted, "six grants in the audit log").await;
    assert!(records.iter().all(|line| line["params"]["mode"] == "tunneled"), "{records:?}");
    assert!(forwarder.said().iter().filter(|line| line.contains(", tunneled")).count() == 6);
}

/// E9, X8: a tunnel loses nothing, so every gap that iperf3 sees is a datagram this host had no room for.
#[tokio::test]
async fn what_a_sender_too_fast_for_the_tunnel_loses_is_counted_as_this_hosts_and_not_the_networks() {
    if !iperf::is_installed() {
        return;
    }
    let mut forwarder = Forwarder::start("[quotas]\ncooldown_sec = 0\n").await;
    let udp = forwarder.iperf3(&["-u", "-t", "1", "-b", "0", "-l", "60000"]).await;
    let lost = udp["end"]["sum"]["lost_packets"].as_u64().unwrap_or_else(|| panic!("{udp}"));
    let line = forwarder.says("dropped in this host's queue, not by the network").await;
    let counted: u64 = line.split(' ').next().unwrap().parse().unwrap();
    // iperf3 counts up to the last one that arrived.
    assert!(lost > 0 && counted >= lost, "iperf3 lost {lost}; {line}");
    forwarder.says("completed").await;
    // The reflector saw the gaps, and calls them no network's either.
    let limit = forwarder.ended().await["params"]["limit"].clone();
    assert!(limit.is_object() && limit["by"] != "network", "{limit}");
    assert_eq!(forwarder.signal(rustix::process::Signal::INT).await.code(), Some(0));
    let goodbye = forwarder.says("1 test forwarded; ").await;
    assert!(goodbye.contains(&format!("{counted} datagram")), "{goodbye}");
}

/// What scans a port or waits silently on it is not a test, and keeps nobody from one.
#[tokio::test]
async fn whoever_says_nothing_holds_nobody_up() {
    if !iperf::is_installed() {
        return;
    }
    let forwarder = Forwarder::start("").await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(forwarder.at).await.unwrap());
    }
    let result = forwarder.iperf3(&["-t", "1"]).await;
    assert!(iperf::received(&result) > 0, "{result}");
}
