//! However a test ends, nothing of it is left.

use std::time::Duration;

use reflector::engine::iperf::State;
use reflector::reason::EndReason;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::house::{Ask, House, end_of, has_iperf3, until};
use crate::raw::{Gone, Raw, gone, parameters};

/// G3: a client that is killed in the middle frees slot and port.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_frees_slot_and_port() {
    if !has_iperf3() {
        return;
    }
    let house = House::new();
    for way in ["-R", "--bidir", "-4"] {
        let granted = house.grant(Ask::TCP).await;
        let port = granted.grant.port;
        let mut client = tokio::process::Command::new("iperf3");
        client.args(["-c", "127.0.0.1", "-p", &port.to_string(), "-t", "9", way]);
        client.stdout(std::process::Stdio::null()).kill_on_drop(true);
        let mut client = client.spawn().unwrap();
        until("bytes move", || house.sessions.active(None).iter().any(|session| session.bytes > 1_000_000))
            .await;
        client.kill().await.unwrap();
        let killed = tokio::time::Instant::now();
        assert_eq!(end_of(granted).await.reason(), EndReason::ClientTerminated, "{way}");
        assert!(killed.elapsed() < Duration::from_secs(3), "{way}: {:?}", killed.elapsed());
        assert!(TcpStream::connect((Ask::TCP.local, port)).await.is_err(), "{way}: the port is closed");
    }
}

/// E4: streams that are in the middle of something are reset with their session.
#[tokio::test]
async fn streams_are_reset_with_their_session() {
    let house = House::new();
    for (reverse, reason) in [(false, EndReason::Revoked), (true, EndReason::ClientTerminated)] {
        let granted = house.grant(Ask::TCP).await;
        let asked = parameters(|p| p.reverse = reverse);
        let (mut raw, mut streams) = Raw::running(&granted, &asked).await;
        if !reverse {
            streams[0].write_all(&[1; 1000]).await.unwrap();
        }
        until("bytes move", || house.sessions.active(None).iter().any(|session| session.bytes > 0)).await;
        house.stop(reason);
        if reason == EndReason::Revoked {
            assert_eq!(raw.state().await, State::ServerTerminate);
        }
        assert_eq!(end_of(granted).await.reason(), reason);
        assert_eq!(gone(&mut streams[0]).await, Gone::Reset);
    }
}

/// E1: a stock client divides the bytes by this time. Sinks that wait for more notice the end up to 100 ms later, in which
/// nothing was received; that this time is seen apart from the test once is enough.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_test_ends_with_the_clients_word_and_not_when_every_thread_has_heard_it() {
    let house = House::new();
    let mut gap = Duration::ZERO;
    for _ in 0..10 {
        let granted = house.grant(Ask::TCP).await;
        let before = Instant::now();
        let (mut raw, mut streams) = Raw::running(&granted, &parameters(|_| ())).await;
        streams[0].write_all(&[7; 1000]).await.unwrap();
        until("bytes move", || house.sessions.active(None).iter().any(|session| session.bytes > 0)).await;
        raw.tell(State::TestEnd).await;
        let results = raw.exchange(1).await;
        let all = before.elapsed();
        gap = gap.max(all.saturating_sub(Duration::from_secs_f64(results.streams[0].end_time)));
        assert_eq!(end_of(granted).await.reason(), EndReason::Completed);
        if gap > Duration::from_millis(60) {
            return;
        }
    }
    panic!("at most {gap:?} are left out");
}

#[tokio::test]
async fn a_client_that_says_it_is_interrupted_ends_its_session() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let (mut raw, _streams) = Raw::running(&granted, &parameters(|_| ())).await;
    raw.tell(State::ClientTerminate).await;
    assert_eq!(end_of(granted).await.reason(), EndReason::ClientTerminated);
}
