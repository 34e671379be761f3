//! Peers that go wrong half way, in each state: every one ends in its time, for a typed reason that is counted, and with its
//! slot free.

use reflector::engine::iperf::reader::frame;
use reflector::engine::iperf::{Code, State};
use reflector::reason::EndReason;
use socket2::SockRef;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::house::{Ask, House, ended, until};
use crate::raw::{Gone, Raw, gone, parameters};

/// Not a word more, not even a goodbye.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// How far a client gets before it resets every connection it has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Until {
    Asked,
    SomeStreams,
    Running,
    End,
    Results,
}

/// G3
#[tokio::test]
async fn a_client_that_resets_in_any_state_frees_its_slot() {
    let house = House::for_one();
    for far in [Until::Asked, Until::SomeStreams, Until::Running, Until::End, Until::Results] {
        let granted = house.grant(Ask::TCP).await;
        let asked = parameters(|p| p.parallel = 2);
        let mut raw = Raw::asked(&granted, &asked).await;
        let mut streams = Vec::new();
        if far != Until::Asked {
            streams.push(raw.stream().await);
        }
        if !matches!(far, Until::Asked | Until::SomeStreams) {
            streams.push(raw.stream().await);
            assert_eq!((raw.state().await, raw.state().await), (State::TestStart, State::TestRunning));
        }
        if matches!(far, Until::End | Until::Results) {
            raw.tell(State::TestEnd).await;
            assert_eq!(raw.state().await, State::ExchangeResults);
        }
        if far == Until::Results {
            // Half of them.
            raw.send(&frame(&reflector::engine::iperf::Results::default().to_json())[..20]).await;
        }
        reset(raw.control);
        streams.into_iter().for_each(reset);
        // Whoever ended its test has a whole one.
        let reason = match far {
            Until::End | Until::Results => EndReason::Completed,
            _ => EndReason::ClientTerminated,
        };
        ended(&house, granted, reason, &format!("{far:?}")).await;
    }
}

#[tokio::test]
async fn a_client_that_resets_before_its_parameters_leaves_the_grant_to_a_better_try() {
    let house = House::for_one();
    let granted = house.grant(Ask::TCP).await;
    let mut raw = Raw::connect(&granted).await;
    assert_eq!(raw.state().await, State::ParamExchange);
    reset(raw.control);
    let (mut raw, _streams) = Raw::running(&granted, &parameters(|_| ())).await;
    raw.tell(State::TestEnd).await;
    raw.exchange(1).await;
    ended(&house, granted, EndReason::Completed, "the second").await;
}

/// Five seconds for parameters, however busily they do not come; ten for a start.
#[tokio::test]
async fn a_client_with_a_cookie_and_nothing_else_is_no_start() {
    let house = House::for_one();
    let granted = house.grant(Ask::TCP).await;
    let mut silent = Raw::connect(&granted).await;
    let mut slow = Raw::connect(&granted).await;
    assert_eq!((silent.state().await, slow.state().await), (State::ParamExchange, State::ParamExchange));
    let drip = async {
        let (mut stay, mut drop_by_drop) = slow.control.into_split();
        for byte in frame(&[b' '; 4000]) {
            if drop_by_drop.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::io::copy(&mut stay, &mut tokio::io::sink()).await
    };
    let (silent, _slow) = tokio::join!(gone(&mut silent.control), drip);
    assert_eq!(silent, Gone::Reset);
    ended(&house, granted, EndReason::NoStart, "nobody asked for anything").await;
}

/// What no number can be.
#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    let house = House::for_one();
    let granted = house.grant(Ask::TCP).await;
    for (sent, code) in [
        (r#"{"time":NaN}"#, Code::Parameters),
        (r#"{"time":-Infinity}"#, Code::Parameters),
        (r#"{"time":1e999}"#, Code::Parameters),
        (r#"{"num":1e300}"#, Code::Parameters),
        (r#"{"num":0.5}"#, Code::Parameters),
        (r#"{"parallel":-1}"#, Code::Streams),
        (r#"{"parallel":1.5}"#, Code::Streams),
        (r#"{"time":-1}"#, Code::Time),
    ] {
        let mut raw = Raw::connect(&granted).await;
        assert_eq!(raw.state().await, State::ParamExchange);
        raw.send(&frame(sent.as_bytes())).await;
        assert_eq!(raw.refusal().await, code, "{sent}");
    }
    house.stop(EndReason::ClientTerminated);
    ended(&house, granted, EndReason::ClientTerminated, "after all refusals").await;
}

/// Data may be there before it is asked for: it waits in the kernel, and counts when the test runs.
#[tokio::test]
async fn data_before_its_time_waits_and_is_counted_once() {
    let house = House::for_one();
    let granted = house.grant(Ask::TCP).await;
    let mut raw = Raw::asked(&granted, &parameters(|p| p.parallel = 2)).await;
    let mut early = raw.stream().await;
    early.write_all(&[1; 10_000]).await.unwrap();
    assert_eq!(house.sessions.active(None).iter().map(|session| session.bytes).sum::<u64>(), 0);
    let _late = raw.stream().await;
    assert_eq!((raw.state().await, raw.state().await), (State::TestStart, State::TestRunning));
    until("it is counted", || house.sessions.active(None).iter().any(|session| session.bytes == 10_000))
        .await;
    raw.tell(State::TestEnd).await;
    let results = raw.exchange(2).await;
    assert_eq!(results.streams.iter().map(|stream| stream.bytes).sum::<u64>(), 10_000);
    ended(&house, granted, EndReason::Completed, "early data").await;
}

#[tokio::test]
async fn an_end_before_the_start_is_no_test() {
    let house = House::for_one();
    let granted = house.grant(Ask::TCP).await;
    let mut raw = Raw::asked(&granted, &parameters(|p| p.parallel = 2)).await;
    raw.tell(State::TestEnd).await;
    assert_eq!(raw.refusal().await, Code::State);
    ended(&house, granted, EndReason::ProtocolError, "an end before the start").await;
}

/// The other connections of a client whose one stream is reset, or closed, go on, and its slot with them.
#[tokio::test]
async fn a_stream_that_is_reset_or_closed_ends_no_test() {
    for (go, what) in [(reset as fn(TcpStream), "reset"), (drop, "closed")] {
        let house = House::for_one();
        let granted = house.grant(Ask::TCP).await;
        let (mut raw, mut streams) = Raw::running(&granted, &parameters(|p| p.parallel = 2)).await;
        go(streams.remove(0));
        streams[0].write_all(&[1; 5000]).await.unwrap();
        until("the other moves", || house.sessions.active(None).iter().any(|session| session.bytes == 5000))
            .await;
        raw.tell(State::TestEnd).await;
        raw.exchange(2).await;
        ended(&house, granted, EndReason::Completed, what).await;
    }
}
