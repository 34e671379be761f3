//! What iperf3 and its user are told when there is no test.

use e2e::appliance::Key;
use reflector::identity::Identity;

use crate::forwarder::{Connect, Forwarder, refused, refused_with};
use crate::iperf;

fn error(result: &serde_json::Value) -> String {
    result["error"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned()
}

/// E9
#[tokio::test]
async fn a_spent_quota_and_a_paused_peer_are_told_in_words_of_iperf3() {
    if !iperf::is_installed() {
        return;
    }
    let forwarder = Forwarder::start("[quotas]\ncooldown_sec = 0\nmax_bytes_per_day_per_peer = 1\n").await;
    // Cut after its byte, which is an end that iperf3 takes for one of its own.
    assert!(iperf::received(&forwarder.iperf3(&["-t", "1"]).await) <= 1);
    forwarder.says("ended early: quota_exceeded").await;
    let second = error(&forwarder.iperf3(&["-t", "1"]).await);
    forwarder.says("not granted: denied (quota_exceeded)").await;
    assert!(second.contains("bandwidth") || second.contains("bitrate"), "{second}");

    let forwarder = Forwarder::start("[quotas]\nmax_tests_per_hour_per_peer = 1\ncooldown_sec = 0\n").await;
    assert!(iperf::received(&forwarder.iperf3(&["-t", "1"]).await) > 0);
    let third = error(&forwarder.iperf3(&["-t", "1"]).await);
    forwarder.says("not granted: denied (rate_limited)").await;
    assert!(third.contains("authorization"), "{third}");
}

/// E9
#[tokio::test]
async fn a_second_client_hears_that_the_first_one_is_busy() {
    if !iperf::is_installed() {
        return;
    }
    let forwarder = Forwarder::start("").await;
    let first = forwarder.iperf3(&["-t", "3"]);
    let second = async {
        forwarder.says("TCP up").await;
        error(&forwarder.iperf3(&["-t", "1"]).await)
    };
    let (first, second) = tokio::join!(first, second);
    assert!(iperf::received(&first) > 0, "{first}");
    assert!(second.contains("busy"), "{second}");
}

/// A2, C2
#[tokio::test]
async fn a_code_lets_a_forwarder_in_once_and_a_wrong_one_is_refused_before_anything_is_promised() {
    let forwarder = Forwarder::start("").await;
    let home = tempfile::tempdir().unwrap();
    let address = format!("{}@{}", forwarder.bed.endpoint_id, forwarder.bed.addr);
    let refusal = async |code: &str| {
        let (exit, told) = refused_with(home.path(), &address, &["--code", code]).await;
        assert_eq!(exit, Some(2), "{told}");
        assert!(!told.contains("forwarding"), "{told}");
        told
    };
    assert!(refusal("ABCD2345").await.contains("no pairing window is open"));
    let code = forwarder.bed.pair();
    // A window is open, and who has no code is told so instead of being let wait for a test that is denied.
    let (exit, told) = refused(home.path(), &address).await;
    assert!(exit == Some(2) && told.contains("--code") && !told.contains("forwarding"), "{told}");
    let wrong = if code.starts_with('0') { "1BCD2345" } else { "0BCD2345" };
    assert!(refusal(wrong).await.contains("wrong pairing code"));
    let mut paired = Connect::spawn(home.path(), &address, &["--code", &code]);
    paired.says("paired").await;
    paired.says("forwarding 127.0.0.1").await;
    assert_eq!(paired.signal(rustix::process::Signal::INT).await.code(), Some(0));
}

#[tokio::test]
async fn another_key_and_a_closed_port_are_said_before_anything_is_promised() {
    let forwarder = Forwarder::start("").await;
    let home = tempfile::tempdir().unwrap();
    let other = Identity::from_seed(&[3; 32]).id();
    let (code, told) = refused(home.path(), &format!("{other}@{}", forwarder.bed.addr)).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&format!("not {other}")) && !told.contains("forwarding"), "{told}");
    let id = Key::generate().endpoint_id();
    let (code, told) = refused(home.path(), &format!("{id}@127.0.0.1:1")).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("127.0.0.1:1"), "{told}");
}
