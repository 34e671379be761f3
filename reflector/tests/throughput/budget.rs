//! Peers that send on whatever we say run into their byte limit.

use std::sync::Arc;

use reflector::engine::iperf::udp::HELLO;
use reflector::engine::iperf::{State, Transport};
use reflector::engine::sys::tcp_info;
use reflector::reason::EndReason;
use tokio::net::{TcpStream, UdpSocket};

use crate::house::{Ask, House, end_of, peer};
use crate::raw::{Raw, parameters};

/// What may arrive of each stream after the budget is used up.
const OVERSHOOT: u64 = 256 * 1024;
/// And of one whose thread waits for a processor: seen up to half of it.
const STARVED: u64 = 1024 * 1024;

/// What may cross and find no room in our kernel: advertised while there was, and dropped, so that nobody can count it. On a
/// machine with more to do than it can, where threads are not scheduled while others spend, it was 400 KiB.
const DROPPED: u64 = 1024 * 1024;

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

/// G6: no pace, no distance between the two kernels: what is in the way of the peer is the window alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_at_full_speed_crosses_the_limit_by_no_more_than_its_windows() {
    for streams in [1, 4, 16] {
        // Without a link the peer is as near as another thread: a stream of ours that gets no processor meanwhile leaves its
        // window open. No machine is that busy three times in a row.
        let mut most = Vec::new();
        while most.last().is_none_or(|over| *over > u64::from(streams) * OVERSHOOT) {
            assert!(most.len() < 3, "{streams} streams: {most:?} over the limit");
            most.push(flooded(streams).await);
        }
    }
}

/// What was charged above the limit.
async fn flooded(streams: u32) -> u64 {
    const LIMIT: u64 = 150_000_000;
    let house = House::with(|policy| policy.quotas.bytes_per_day_on_loopback = Some(LIMIT));
    let granted = house.grant(Ask { streams, seconds: 30, ..Ask::TCP }).await;
    let (mut raw, connections) =
        Raw::running(&granted, &parameters(|p| (p.parallel, p.time) = (streams, 30))).await;
    let connections: Vec<Arc<TcpStream>> = connections.into_iter().map(Arc::new).collect();
    let flooding: Vec<_> = connections.iter().map(|stream| tokio::spawn(flood(Arc::clone(stream)))).collect();
    assert_eq!(raw.state().await, State::ExchangeResults);
    // What the peer's own kernel put on the wire, repeats left out.
    let sent = connections.iter().map(|stream| {
        let info = tcp_info(stream).unwrap();
        info.bytes_sent.unwrap() - info.bytes_retransmitted.unwrap() - COOKIE
    });
    let sent: u64 = sent.sum();
    let counted: u64 = raw.results(connections.len()).await.streams.iter().map(|stream| stream.bytes).sum();
    let record = end_of(granted).await;
    assert_eq!((record.reason(), record.bytes, counted), (EndReason::QuotaExceeded, LIMIT, LIMIT));
    let (charged, streams) = (record.bytes + record.unread_bytes, u64::from(streams));
    assert!(charged <= LIMIT + streams * STARVED, "{streams} streams: {charged} charged");
    assert!(sent <= charged + streams * DROPPED, "{streams} streams: {charged} charged, {sent} sent");
    assert_eq!(house.ledger.usage(&peer()).unwrap().bytes_today, charged);
    for task in flooding {
        task.await.unwrap();
    }
    charged - LIMIT
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
