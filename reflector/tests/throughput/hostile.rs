//! Peers that are broken, slow or hostile, each with what it gets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use reflector::engine::iperf::reader::frame;
use reflector::engine::iperf::udp::{ANSWER, HELLO};
use reflector::engine::iperf::{Code, Cookie, State, Transport};
use reflector::reason::EndReason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::house::{Ask, House, PATIENCE, end_of, until};
use crate::raw::{Gone, Raw, dial, flood, gone, parameters};

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

/// E3: whoever does not come from the granted address is reset and counted; the peer is served beside it.
#[tokio::test]
async fn a_stranger_is_reset_and_the_granted_peer_is_served() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let mut stranger = dial(STRANGER, granted.grant.port).await;
    assert_eq!(gone(&mut stranger).await, Gone::Reset);
    let datagram = UdpSocket::bind((STRANGER, 0)).await.unwrap();
    datagram.send_to(&HELLO, (Ask::TCP.local, granted.grant.port)).await.unwrap();
    until("both are counted", || house.engine.refused() == 2).await;
    let (mut raw, mut streams) = Raw::running(&granted, &parameters(|_| ())).await;
    streams[0].write_all(&[1; 1000]).await.unwrap();
    until("its bytes are counted", || house.sessions.active(None).iter().any(|s| s.bytes == 1000)).await;
    raw.tell(State::TestEnd).await;
    assert_eq!(raw.exchange(1).await.streams[0].bytes, 1000);
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes), (EndReason::Completed, 1000));
}

/// E2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_right_after_the_grant_succeeds_a_thousand_times() {
    let house = House::new();
    for round in 0..1000 {
        let granted = house.grant(Ask::TCP).await;
        let port = granted.grant.port;
        let connected = TcpStream::connect((Ask::TCP.local, port)).await;
        assert!(connected.is_ok(), "round {round}: {connected:?}");
        house.stop(EndReason::ClientTerminated);
        end_of(granted).await;
    }
}

#[tokio::test]
async fn silent_connections_make_room_for_the_client() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(dial(Ask::TCP.source, granted.grant.port).await);
    }
    let (mut raw, _streams) = Raw::running(&granted, &parameters(|_| ())).await;
    assert_eq!(gone(&mut silent[0]).await, Gone::Reset, "the oldest made room");
    raw.tell(State::TestEnd).await;
    raw.exchange(1).await;
    assert_eq!(end_of(granted).await.reason(), EndReason::Completed);
}

#[tokio::test]
async fn half_a_cookie_is_reset_after_its_deadline() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let mut half = dial(Ask::TCP.source, granted.grant.port).await;
    half.write_all(&Cookie::random().unwrap().to_bytes()[..20]).await.unwrap();
    let since = tokio::time::Instant::now();
    assert_eq!(gone(&mut half).await, Gone::Reset);
    assert!(since.elapsed() >= Duration::from_millis(2900), "{:?}", since.elapsed());
    let mut tls = dial(Ask::TCP.source, granted.grant.port).await;
    tls.write_all(&[0x16, 3, 1]).await.unwrap();
    assert_eq!(gone(&mut tls).await, Gone::Reset, "no cookie begins like this");
}

#[tokio::test]
async fn nobody_comes_and_the_session_ends() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let port = granted.grant.port;
    drop(dial(Ask::TCP.source, port).await);
    assert_eq!(end_of(granted).await.reason(), EndReason::NoStart, "a port probe is no start");
    assert!(TcpStream::connect((Ask::TCP.local, port)).await.is_err(), "no port outlives its session");
}

#[tokio::test]
async fn parameters_that_cannot_be_read_are_refused_before_they_are_kept() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let deep = format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9));
    for sent in [
        0_u32.to_be_bytes().to_vec(),
        8193_u32.to_be_bytes().to_vec(),
        u32::MAX.to_be_bytes().to_vec(),
        frame(b"[]"),
        frame(deep.as_bytes()),
        frame(br#"{"num":-1}"#),
    ] {
        let mut raw = Raw::connect(&granted).await;
        assert_eq!(raw.state().await, State::ParamExchange);
        raw.send(&sent).await;
        assert_eq!(raw.refusal().await, Code::Parameters, "{sent:?}");
        assert!(matches!(gone(&mut raw.control).await, Gone::Closed | Gone::Reset));
    }
    let (mut raw, _streams) = Raw::running(&granted, &parameters(|_| ())).await;
    raw.tell(State::TestEnd).await;
    raw.exchange(1).await;
    assert_eq!(end_of(granted).await.reason(), EndReason::Completed, "the grant was still there");
}

#[tokio::test]
async fn accepted_parameters_use_the_grant_up() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let (mut raw, _streams) = Raw::running(&granted, &parameters(|_| ())).await;
    let mut second = Raw::connect(&granted).await;
    assert_eq!(second.state().await, State::AccessDenied);
    let mut extra = raw.stream().await;
    let mut answer = [0];
    extra.read_exact(&mut answer).await.unwrap();
    assert_eq!(State::from_byte(answer[0]), Some(State::AccessDenied), "one stream too many");
    raw.tell(State::TestEnd).await;
    raw.exchange(1).await;
    end_of(granted).await;
}

#[tokio::test]
async fn missing_streams_end_the_test() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let mut raw = Raw::asked(&granted, &parameters(|p| p.parallel = 2)).await;
    let _only_one = raw.stream().await;
    assert_eq!(raw.refusal().await, Code::Accept);
    assert_eq!(end_of(granted).await.reason(), EndReason::ProtocolError);
}

#[tokio::test]
async fn a_state_that_makes_no_sense_ends_the_test() {
    let house = House::new();
    for byte in [State::IperfDone.byte() + 1, State::CreateStreams.byte(), 0] {
        let granted = house.grant(Ask::TCP).await;
        let (mut raw, _streams) = Raw::running(&granted, &parameters(|_| ())).await;
        raw.send(&[byte]).await;
        assert_eq!(raw.refusal().await, Code::State, "{byte}");
        assert_eq!(end_of(granted).await.reason(), EndReason::ProtocolError);
    }
}

#[tokio::test]
async fn silent_after_the_end_keeps_our_numbers() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let (mut raw, mut streams) = Raw::running(&granted, &parameters(|_| ())).await;
    streams[0].write_all(&[1; 5000]).await.unwrap();
    until("its bytes are counted", || house.sessions.active(None).iter().any(|s| s.bytes == 5000)).await;
    raw.tell(State::TestEnd).await;
    assert_eq!(gone(&mut raw.control).await, Gone::Reset);
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes), (EndReason::Completed, 5000));
}

#[tokio::test]
async fn results_that_are_too_long_are_refused() {
    let house = House::new();
    let granted = house.grant(Ask::TCP).await;
    let (mut raw, _streams) = Raw::running(&granted, &parameters(|_| ())).await;
    raw.tell(State::TestEnd).await;
    assert_eq!(raw.state().await, State::ExchangeResults);
    raw.send(&65_537_u32.to_be_bytes()).await;
    assert_eq!(raw.refusal().await, Code::Results);
    assert_eq!(end_of(granted).await.reason(), EndReason::ProtocolError);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_stalled() {
    let house = House::new();
    let granted = house.grant(Ask { seconds: 50, ..Ask::TCP }).await;
    let asked = parameters(|p| (p.reverse, p.time) = (true, 45));
    let (mut raw, _unread) = Raw::running(&granted, &asked).await;
    assert_eq!(raw.refusal().await, Code::Idle);
    assert_eq!(end_of(granted).await.reason(), EndReason::Stalled);
}

/// A client that ends by itself just when it is told 13: its 4 is in front of its results.
#[tokio::test]
async fn a_late_end_is_no_length() {
    let house = House::new();
    let granted = house.grant(Ask { seconds: 1, ..Ask::TCP }).await;
    let (mut raw, mut streams) = Raw::running(&granted, &parameters(|p| p.time = 30)).await;
    flood(&mut streams[0], Duration::from_millis(500)).await;
    let mut state = [0];
    raw.control.read_exact(&mut state).await.unwrap();
    assert_eq!(State::from_byte(state[0]), Some(State::ExchangeResults), "unasked");
    raw.tell(State::TestEnd).await;
    raw.send(&frame(&reflector::engine::iperf::Results::default().to_json())).await;
    let record = end_of(granted).await;
    assert_eq!(record.reason(), EndReason::DurationCap);
}

#[tokio::test]
async fn a_flood_of_hellos_opens_no_more_sockets_than_streams() {
    let house = House::new();
    let granted = house.grant(Ask { streams: 2, ..Ask::UDP }).await;
    let to = SocketAddr::new(Ask::UDP.local, granted.grant.port);
    let asked = parameters(|p| (p.transport, p.parallel, p.length) = (Transport::Udp, 2, 1000));
    let mut raw = Raw::asked(&granted, &asked).await;
    let mut answer = [0; 8];
    let first = UdpSocket::bind((Ask::UDP.source, 0)).await.unwrap();
    first.connect(to).await.unwrap();
    for _ in 0..3 {
        first.send(&HELLO).await.unwrap();
        let length = tokio::time::timeout(PATIENCE, first.recv(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer[..length], ANSWER, "repeats are answered");
    }
    let second = UdpSocket::bind((Ask::UDP.source, 0)).await.unwrap();
    second.connect(to).await.unwrap();
    second.send(&[0x15, 0xcd, 0x5b, 0x07]).await.unwrap();
    tokio::time::timeout(PATIENCE, second.recv(&mut answer)).await.unwrap().unwrap();
    assert_eq!((raw.state().await, raw.state().await), (State::TestStart, State::TestRunning));
    let third = UdpSocket::bind((Ask::UDP.source, 0)).await.unwrap();
    for _ in 0..100 {
        let _ = third.send_to(&HELLO, to).await;
    }
    raw.tell(State::TestEnd).await;
    assert_eq!(raw.exchange(2).await.streams.len(), 2);
    assert!(third.try_recv(&mut answer).is_err(), "nobody answers a third stream");
    assert_eq!(end_of(granted).await.reason(), EndReason::Completed);
}
