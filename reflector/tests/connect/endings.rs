//! Tests that somebody ends before their time.

use rustix::process::Signal;

use crate::bed::until;
use crate::forwarder::Forwarder;
use crate::iperf;

/// No data connection of the reflector is left.
async fn nothing_is_left(forwarder: &Forwarder) {
    let deadline = tokio::time::Instant::now() + crate::bed::PATIENCE;
    while forwarder.bed.metric("reflector_connections{state=\"data\"}").await > 0.0 {
        assert!(tokio::time::Instant::now() < deadline, "data connections are left");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn moving(forwarder: &Forwarder) {
    forwarder.says("TCP up").await;
    let deadline = tokio::time::Instant::now() + crate::bed::PATIENCE;
    while forwarder.bed.metric("reflector_connections{state=\"data\"}").await < 3.0 {
        assert!(tokio::time::Instant::now() < deadline, "no streams");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// E9
#[tokio::test]
async fn ctrl_c_ends_the_test_the_session_and_the_process() {
    if !iperf::is_installed() {
        return;
    }
    let mut forwarder = Forwarder::start("").await;
    let at = forwarder.at;
    let here = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let test = tokio::spawn(async move { iperf::run(at, here, &["-t", "20", "-P", "2"]).await });
    moving(&forwarder).await;
    let status = forwarder.signal(Signal::INT).await;
    assert_eq!(status.code(), Some(0));
    let result = test.await.unwrap();
    assert!(result["error"].as_str().unwrap().contains("server has terminated"), "{result}");
    assert_eq!(forwarder.ended().await["reason"], "client_terminated");
    nothing_is_left(&forwarder).await;
}

/// E9: data connections die with the control connection, whoever would like to go on.
#[tokio::test]
async fn streams_die_with_the_control_connection() {
    if !iperf::is_installed() {
        return;
    }
    let mut forwarder = Forwarder::start("").await;
    let at = forwarder.at;
    let here = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let test = tokio::spawn(async move { iperf::run(at, here, &["-t", "20", "-P", "2"]).await });
    moving(&forwarder).await;
    assert!(!forwarder.signal(Signal::KILL).await.success());
    let result = test.await.unwrap();
    assert!(result.get("error").is_some(), "{result}");
    let ended = forwarder.ended().await;
    assert!(["client_vanished", "client_terminated"].contains(&ended["reason"].as_str().unwrap()), "{ended}");
    nothing_is_left(&forwarder).await;
}

/// A8, E9
#[tokio::test]
async fn a_revoked_peer_loses_its_tunnel_and_the_forwarder_says_why() {
    if !iperf::is_installed() {
        return;
    }
    let forwarder = Forwarder::start("").await;
    let at = forwarder.at;
    let here = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let test = tokio::spawn(async move { iperf::run(at, here, &["-t", "20", "-P", "2"]).await });
    moving(&forwarder).await;
    let revoked = forwarder.bed.cli(&["peers", "revoke", "laptop"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    let result = test.await.unwrap();
    assert!(result.get("error").is_some(), "{result}");
    assert_eq!(forwarder.ended().await["reason"], "suspended");
    nothing_is_left(&forwarder).await;
    let said = until(|| forwarder.said().into_iter().find(|line| line.contains("ended")), "an end").await;
    assert!(said.contains("control connection") || said.contains("suspended"), "{said}");
}
