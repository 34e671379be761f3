//! Peers that send on whatever we say run into their byte limit.

use std::sync::Arc;

use reflector::engine::iperf::udp::HELLO;
use reflector::engine::iperf::{Parameters, State, Transport};
use reflector::engine::sys::tcp_info;
use reflector::reason::EndReason;
use tokio::net::{TcpStream, UdpSocket};

use crate::house::{Ask, House, end_of, peer};
use crate::raw::{Raw, parameters};

/// What may arrive of each stream after the budget is used up: one buffer of 128 KiB, what it holds beyond its room (one train
/// of 64 KiB), and the steps in which a window is told.
const OVERSHOOT: u64 = 256 * 1024;
/// What the peer's kernel may have sent beyond the limit while ours was kept from running, a stream: more than
/// [`OVERSHOOT`] is an accident that does not happen every time.
const STARVED: u64 = 1024 * 1024;
/// How often it may happen before it is none.
const ACCIDENTS: usize = 2;

/// Of a data connection, and no payload.
const COOKIE: u64 = 37;

/// Sends without a pause until the other side is gone.
async fn flood(stream: Arc<TcpStream>) {
    let block = vec![7; 256 * 1024];
    while stream.writable().await.is_ok() {
        match stream.try_write(&block) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// G6: no pace, no distance between the two kernels: what is in the way of the peer is the window alone. However the threads
/// are scheduled meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_at_full_speed_crosses_the_limit_by_no_more_than_one_buffer_per_stream() {
    const LIMIT: u64 = 150_000_000;
    for streams in [1, 4, 16] {
        flooded(streams, LIMIT, |_| ()).await;
    }
}

/// G6: who asks for large windows gets no more of them than there is to fill.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn windows_that_were_asked_for_are_bounded_before_anybody_can_fill_them() {
    const LIMIT: u64 = 3_000_000;
    flooded(8, LIMIT, |p| p.window = 8 << 20).await;
}

/// Uploads until the limit cuts it, and holds every number against it. What the peer sent may be beyond it twice, where
/// somebody else had the processors.
async fn flooded(streams: u32, limit: u64, change: impl Fn(&mut Parameters)) {
    let allowed = u64::from(streams) * OVERSHOOT;
    let mut beyond = Vec::new();
    while beyond.len() <= ACCIDENTS {
        let sent = flooded_once(streams, limit, &change).await;
        if sent <= limit + allowed {
            return;
        }
        beyond.push(sent - limit);
    }
    panic!("{streams} streams: {beyond:?} sent beyond the limit, {allowed} may be");
}

/// Says what the peer's kernel sent.
async fn flooded_once(streams: u32, limit: u64, change: impl Fn(&mut Parameters)) -> u64 {
    let house = House::with(|policy| policy.quotas.bytes_per_day_on_loopback = Some(limit));
    let granted = house.grant(Ask { streams, seconds: 30, ..Ask::TCP }).await;
    let mut raw = Raw::asked(
        &granted,
        &parameters(|p| {
            (p.parallel, p.time) = (streams, 30);
            change(p);
        }),
    )
    .await;
    let (mut connections, mut flooding) = (Vec::new(), Vec::new());
    for _ in 0..streams {
        let stream = Arc::new(raw.stream().await);
        // From the first moment, before the test runs.
        flooding.push(tokio::spawn(flood(Arc::clone(&stream))));
        connections.push(stream);
    }
    assert_eq!((raw.state().await, raw.state().await), (State::TestStart, State::TestRunning));
    assert_eq!(raw.state().await, State::ExchangeResults);
    // What the peer's own kernel put on the wire, repeats left out.
    let sent = connections.iter().map(|stream| {
        let info = tcp_info(stream).unwrap();
        info.bytes_sent.unwrap() - info.bytes_retransmitted.unwrap() - COOKIE
    });
    let sent: u64 = sent.sum();
    let counted: u64 = raw.results(connections.len()).await.streams.iter().map(|stream| stream.bytes).sum();
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes, counted), (EndReason::QuotaExceeded, limit, limit));
    let charged = record.bytes + record.unread_bytes;
    let most = limit + u64::from(streams) * OVERSHOOT;
    assert!(charged <= most, "{streams} streams: {charged} charged, {most} may be");
    let most = limit + u64::from(streams) * STARVED;
    assert!(sent <= most, "{streams} streams: {sent} sent, {most} may be");
    assert_eq!(house.ledger.usage(&peer()).unwrap().bytes_today, charged);
    for task in flooding {
        task.await.unwrap();
    }
    sent
}

/// G6: a peer that was offered a window and fills it never: what it may still send is nobody else's, and nobody waits for it
/// longer than for a silent client.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_budget_that_is_set_aside_for_a_silent_stream_ends_the_others() {
    const LIMIT: u64 = 20_000_000;
    let house = House::with(|policy| policy.quotas.bytes_per_day_on_loopback = Some(LIMIT));
    let granted = house.grant(Ask { streams: 2, seconds: 30, ..Ask::TCP }).await;
    let (mut raw, mut streams) =
        Raw::running(&granted, &parameters(|p| (p.parallel, p.time) = (2, 30))).await;
    let busy = Arc::new(streams.remove(0));
    let flooding = tokio::spawn(flood(Arc::clone(&busy)));
    assert_eq!(raw.state().await, State::ExchangeResults);
    raw.results(2).await;
    let record = end_of(granted).await;
    assert_eq!(record.reason(), EndReason::QuotaExceeded);
    assert!(record.bytes + record.unread_bytes <= LIMIT + 2 * OVERSHOOT, "{record:?}");
    // Nothing stays set aside.
    assert_eq!(house.ledger.usage(&peer()).unwrap().bytes_today, record.bytes + record.unread_bytes);
    flooding.await.unwrap();
}

/// G6: datagrams cannot be held back: those that came after the last that fitted are charged too, as far as the kernel had
/// room for them.
#[tokio::test]
async fn datagrams_that_a_cut_left_unread_are_charged() {
    const LIMIT: u64 = 100_500;
    const LENGTH: usize = 1000;
    let house = House::with(|policy| policy.quotas.bytes_per_day_on_loopback = Some(LIMIT));
    let granted = house.grant(Ask { streams: 1, ..Ask::UDP }).await;
    let asked = parameters(|p| {
        (p.transport, p.length, p.bandwidth, p.time) = (Transport::Udp, 1000, 1_000_000, 30);
    });
    let mut raw = Raw::asked(&granted, &asked).await;
    let socket = UdpSocket::bind((Ask::UDP.source, 0)).await.unwrap();
    socket.connect((Ask::UDP.local, granted.grant.port)).await.unwrap();
    socket.send(&HELLO).await.unwrap();
    assert_eq!((raw.state().await, raw.state().await), (State::TestStart, State::TestRunning));
    for _ in 0..150 {
        socket.send(&[0; LENGTH]).await.unwrap();
    }
    assert_eq!(raw.state().await, State::ServerTerminate, "in the first second there is no shorter test");
    let record = end_of(granted).await;
    assert_eq!(record.reason(), EndReason::QuotaExceeded);
    assert_eq!((record.bytes, record.unread_bytes), (100_000, 50_000));
    assert_eq!(house.ledger.usage(&peer()).unwrap().bytes_today, 150_000);
}
