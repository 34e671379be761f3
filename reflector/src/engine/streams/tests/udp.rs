use std::collections::VecDeque;
use std::net::UdpSocket;
use std::sync::Mutex;

use super::*;
use crate::engine::iperf::udp::Header;

const LENGTH: usize = 1448;

fn sockets() -> (UdpSocket, UdpSocket) {
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (one, two) = (bind(), bind());
    one.connect(two.local_addr().unwrap()).unwrap();
    two.connect(one.local_addr().unwrap()).unwrap();
    (one, two)
}

fn sink(trains: bool) -> UdpSink {
    UdpSink { length: LENGTH, wide: false, trains, buffer: None }
}

fn source(pace: Option<Pace>) -> UdpSource {
    UdpSource { length: LENGTH, wide: false, pace }
}

fn first(streams: &Streams) -> Snapshot {
    streams.iter().next().unwrap().counters().snapshot()
}

/// E6: bytes and packets agree, all is received, whichever way it is sent and received.
#[tokio::test]
async fn every_datagram_is_counted_once_on_both_sides() {
    let paces = [
        None,
        Some(Pace::new(1_000_000_000)),
        Some(Pace { bits_per_second: 1_000_000_000, burst: 10 }),
        Some(Pace::new(20_000_000_000)),
    ];
    for (wide, trains, pace) in
        paces.into_iter().flat_map(|pace| [(false, false, pace), (true, true, pace), (true, false, pace)])
    {
        // Fits into the receive buffer, so that a busy machine loses none.
        const COUNT: u64 = 600;
        let length = LENGTH as u64;
        let (purse, mut sources) = limited(COUNT * length);
        let mut sinks = unlimited();
        let (one, two) = sockets();
        sinks.udp_sink("sink", two.into(), UdpSink { wide, ..sink(trains) }).unwrap();
        sources.udp_source("source", one.into(), UdpSource { wide, ..source(pace) }).unwrap();
        sinks.start();
        sources.start();
        ended(&sources).await;
        assert!(matches!(sources.iter().next().unwrap().end(), Some(End::NoBudget)));
        assert_eq!(
            (first(&sources).packets, first(&sources).bytes, purse.left()),
            (COUNT, COUNT * length, 0)
        );
        until("all arrive", || first(&sinks).received == COUNT);
        sinks.freeze();
        ended(&sinks).await;
        let got = first(&sinks);
        assert_eq!((got.bytes, got.packets, got.lost, got.out_of_order), (COUNT * length, COUNT, 0, 0));
        assert!(got.jitter > Duration::ZERO && got.jitter < Duration::from_secs(1), "{got:?}");
    }
}

/// E6
#[tokio::test]
async fn gaps_late_ones_and_repeats_are_told_apart() {
    for trains in [false, true] {
        let (one, two) = sockets();
        let mut sinks = unlimited();
        sinks.udp_sink("sink", two.into(), sink(trains)).unwrap();
        sinks.start();
        let mut datagram = [0; LENGTH];
        for seq in [1, 2, 5, 6, 4, 6, 10] {
            Header { sec: 0, usec: 0, seq }.write(&mut datagram, false);
            one.send(&datagram).unwrap();
        }
        // No number in it: its bytes count.
        one.send(&[1; 7]).unwrap();
        until("all arrive", || first(&sinks).received == 8);
        let got = first(&sinks);
        assert_eq!(got.bytes, 7 * LENGTH as u64 + 7);
        // 3, 4, 7, 8, 9 were missing; 4 came late, and so did the second 6 as far as iperf3 can tell.
        assert_eq!((got.packets, got.lost, got.out_of_order, got.duplicates), (10, 3, 2, 1));
    }
}

/// E6: the average over the time measured, after any pause of a busy machine.
#[tokio::test]
async fn paced_datagrams_keep_their_rate_on_average() {
    for bits in [1_000_000, 50_000_000, 800_000_000, 3_000_000_000] {
        let (mut sources, mut sinks) = (unlimited(), unlimited());
        let (one, two) = sockets();
        sinks.udp_sink("sink", two.into(), sink(false)).unwrap();
        sources.udp_source("source", one.into(), source(Some(Pace::new(bits)))).unwrap();
        sinks.start();
        let before = now();
        sources.start();
        let started = now();
        let round = 64 * LENGTH as u64;
        let mut right = false;
        until("the average is right within 2 %", || {
            let earliest = before.elapsed();
            let sent = first(&sources).bytes;
            let latest = before.elapsed();
            assert!(sent <= Pace::new(bits).bytes_in(latest) + round, "never ahead by more than a round");
            let due = Pace::new(bits).bytes_in(earliest);
            right = started.elapsed() > Duration::from_millis(700)
                && sent >= due - due / 50
                && sent <= due + due / 50;
            right
        });
        sources.freeze();
        ended(&sources).await;
    }
}

#[tokio::test]
async fn sink_stops_before_a_datagram_its_purse_cannot_pay() {
    for trains in [false, true] {
        let (one, two) = sockets();
        let budget = 200_000;
        let (purse, mut sinks) = limited(budget);
        sinks.udp_sink("sink", two.into(), sink(trains)).unwrap();
        sinks.start();
        let mut datagram = [0; LENGTH];
        for seq in 1..=200 {
            Header { sec: 0, usec: 0, seq }.write(&mut datagram, false);
            one.send(&datagram).unwrap();
        }
        ended(&sinks).await;
        assert!(matches!(sinks.iter().next().unwrap().end(), Some(End::NoBudget)));
        let got = first(&sinks).bytes;
        // What is left pays for no further datagram, or no further train.
        let slot = if trains { 65_536 } else { LENGTH as u64 };
        assert!(got <= budget && got + slot > budget, "{got}");
        assert_eq!(purse.left(), budget - got);
    }
}

#[tokio::test]
async fn idle_and_sending_streams_freeze_and_their_sockets_stay_open() {
    let (mut sources, mut sinks) = (unlimited(), unlimited());
    let (one, two) = sockets();
    let (silent, idle) = sockets();
    sinks.udp_sink("idle", idle.into(), sink(true)).unwrap();
    sinks.udp_sink("busy", two.into(), sink(true)).unwrap();
    sources.udp_source("busy", one.into(), source(None)).unwrap();
    let (slow, _nobody) = sockets();
    sources.udp_source("slow", slow.into(), source(Some(Pace { bits_per_second: 8, burst: 1 }))).unwrap();
    sinks.start();
    sources.start();
    until("datagrams flow", || sinks.iter().nth(1).unwrap().counters().bytes() > 1_000_000);
    sources.freeze();
    sinks.freeze();
    ended(&sources).await;
    ended(&sinks).await;
    let last = (total(&sources), total(&sinks));
    silent.send(&[1; 16]).unwrap();
    until("the open socket takes another datagram", || sinks.iter().next().unwrap().unread() == 16);
    assert_eq!((total(&sources), total(&sinks)), last);
    assert!(sources.iter().chain(sinks.iter()).all(|stream| matches!(stream.end(), Some(End::Frozen))));
}

#[tokio::test]
async fn peer_that_is_gone_ends_a_source_when_its_host_says_so() {
    let mut sources = unlimited();
    let (one, two) = sockets();
    drop(two);
    sources.udp_source("source", one.into(), source(None)).unwrap();
    sources.start();
    ended(&sources).await;
    assert!(matches!(sources.iter().next().unwrap().end(), Some(End::PeerClosed)));
}

#[tokio::test]
async fn datagrams_too_long_for_a_train_are_sent_one_by_one() {
    let length = 60_000;
    let (purse, mut sources) = limited(20 * length as u64);
    let mut sinks = unlimited();
    let (one, two) = sockets();
    sinks.udp_sink("sink", two.into(), UdpSink { length, ..sink(true) }).unwrap();
    sources.udp_source("source", one.into(), UdpSource { length, ..source(None) }).unwrap();
    sinks.start();
    sources.start();
    ended(&sources).await;
    until("all arrive", || first(&sinks).bytes == 20 * length as u64);
    assert_eq!((first(&sinks).packets, first(&sinks).lost, purse.left()), (20, 0, 0));
}

#[tokio::test]
async fn omit_restarts_the_jitter_and_nothing_else() {
    let (one, two) = sockets();
    let mut sinks = unlimited();
    sinks.udp_sink("sink", two.into(), sink(false)).unwrap();
    sinks.start();
    let send = |seq, sec| {
        let mut datagram = [0; LENGTH];
        Header { sec, usec: 0, seq }.write(&mut datagram, false);
        one.send(&datagram).unwrap();
    };
    send(1, 0);
    send(3, 1_000);
    until("both arrive", || first(&sinks).received == 2);
    assert!(first(&sinks).jitter > Duration::from_secs(1));
    sinks.iter().next().unwrap().counters().restart_jitter();
    send(4, 1_000);
    until("the third arrives", || first(&sinks).received == 3);
    let got = first(&sinks);
    assert!(got.jitter < Duration::from_secs(1), "{got:?}");
    assert_eq!((got.packets, got.lost), (4, 1));
}

/// A link that is no socket of its own, such as a tunnel.
#[tokio::test]
async fn other_links_carry_datagrams_too() {
    #[derive(Clone, Default)]
    struct Queue(Arc<Mutex<VecDeque<Vec<u8>>>>);
    impl Datagrams for Queue {
        fn receive(&mut self, beginning: &mut [u8]) -> std::io::Result<usize> {
            let datagram = self.0.lock().unwrap().pop_front().ok_or(std::io::ErrorKind::UnexpectedEof)?;
            let kept = beginning.len().min(datagram.len());
            beginning[..kept].copy_from_slice(&datagram[..kept]);
            Ok(datagram.len())
        }
        fn send(&mut self, datagram: &[u8]) -> std::io::Result<()> {
            self.0.lock().unwrap().push_back(datagram.to_vec());
            Ok(())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let ((one, _one), (two, _two)) = (connection(), connection());
    let queue = Queue::default();
    let (_, mut sources) = limited(100 * LENGTH as u64 + 5);
    let mut sinks = unlimited();
    sources
        .udp_source("over", DatagramLink::Over(Box::new(queue.clone()), Arc::new(one)), source(None))
        .unwrap();
    sinks.udp_sink("over", DatagramLink::Over(Box::new(queue), Arc::new(two)), sink(true)).unwrap();
    sources.start();
    ended(&sources).await;
    sinks.start();
    ended(&sinks).await;
    assert!(matches!(sinks.iter().next().unwrap().end(), Some(End::PeerClosed)));
    let got = first(&sinks);
    assert_eq!((got.bytes, got.packets, got.lost, got.received), (100 * LENGTH as u64, 100, 0, 100));
}
