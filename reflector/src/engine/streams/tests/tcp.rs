use std::io::Read;
use std::sync::Mutex;

use super::*;
use crate::engine::sys::tcp_info;

/// Every way of sending against every way of receiving.
fn pairs() -> Vec<(TcpSink, TcpSource)> {
    let sources = [
        TcpSource::default(),
        TcpSource { by_reference: true, ..TcpSource::default() },
        TcpSource { block: Some(1000), ..TcpSource::default() },
        TcpSource { pace: Some(Pace::new(8_000_000_000)), ..TcpSource::default() },
        TcpSource {
            pace: Some(Pace { bits_per_second: 8_000_000_000, burst: 3 }),
            block: Some(5000),
            ..TcpSource::default()
        },
        TcpSource { fq_rate: Some(8_000_000_000), ..TcpSource::default() },
    ];
    let sinks = [TcpSink { copy: false }, TcpSink { copy: true }];
    sinks.into_iter().flat_map(|sink| sources.map(|source| (sink, source))).collect()
}

/// E1: numbers of both sides and of the kernel agree, and the limit is met to the byte.
#[tokio::test]
async fn every_byte_is_counted_once_on_both_sides_and_by_the_kernel() {
    const BYTES: u64 = 12_345_678;
    for (sink, source) in pairs() {
        for count in [1, 3] {
            let (purse, mut sources) = limited(BYTES);
            let mut sinks = unlimited();
            for _ in 0..count {
                let (client, server) = connection();
                sources.tcp_source("source", client.into(), source).unwrap();
                sinks.tcp_sink("sink", server.into(), sink).unwrap();
            }
            sinks.start();
            sources.start();
            ended(&sources).await;
            assert!(sources.iter().all(|stream| matches!(stream.end(), Some(End::NoBudget))));
            assert_eq!((total(&sources), purse.left()), (BYTES, 0), "{source:?}");
            until("the rest arrives", || total(&sinks) == BYTES);
            sinks.freeze();
            ended(&sinks).await;
            for (source, sink) in sources.iter().zip(sinks.iter()) {
                let bytes = source.counters().bytes();
                assert_eq!(sink.counters().bytes(), bytes);
                assert_eq!(tcp_info(source.socket()).unwrap().bytes_acked.unwrap() - 1, bytes);
                assert_eq!(tcp_info(sink.socket()).unwrap().bytes_received.unwrap(), bytes);
            }
        }
    }
}

/// F: never a byte above, whoever receives how.
#[tokio::test]
async fn sinks_never_read_a_byte_more_than_their_purse_holds() {
    for copy in [false, true] {
        let (purse, mut sinks) = limited(7_654_321);
        let mut sources = unlimited();
        for _ in 0..3 {
            let (client, server) = connection();
            sources.tcp_source("source", client.into(), TcpSource::default()).unwrap();
            sinks.tcp_sink("sink", server.into(), TcpSink { copy }).unwrap();
        }
        sources.start();
        sinks.start();
        ended(&sinks).await;
        assert_eq!((total(&sinks), purse.left()), (7_654_321, 0));
        let read = |sink: &Stream| tcp_info(sink.socket()).unwrap().bytes_received.unwrap() - sink.unread();
        // The two numbers are not asked for in the same instant.
        until("the kernel says the same", || sinks.iter().map(read).sum::<u64>() == 7_654_321);
    }
}

#[tokio::test]
async fn nothing_moves_before_the_start_and_a_freeze_before_it_ends_all() {
    let (mut sources, mut sinks) = (unlimited(), unlimited());
    let (client, server) = connection();
    let (idle, _other) = connection();
    sources.tcp_source("source", client.into(), TcpSource::default()).unwrap();
    sinks.tcp_sink("sink", server.into(), TcpSink::default()).unwrap();
    sources
        .tcp_source("source", idle.into(), TcpSource { by_reference: true, ..TcpSource::default() })
        .unwrap();
    sinks.start();
    assert_eq!((total(&sources), total(&sinks)), (0, 0));
    sources.freeze();
    sources.start();
    ended(&sources).await;
    assert!(matches!(sources.iter().next().unwrap().end(), Some(End::Frozen)));
    assert_eq!(sinks.iter().next().unwrap().unread(), 0);
}

/// Idle socket, peer that does not read, link in full flow: counters are final and the sockets open.
#[tokio::test]
async fn freeze_ends_idle_blocked_and_busy_streams_and_leaves_their_sockets_open() {
    for by_reference in [false, true] {
        let (mut sources, mut sinks) = (unlimited(), unlimited());
        let how = TcpSource { by_reference, ..TcpSource::default() };
        let (silent, idle) = connection();
        sinks.tcp_sink("idle", idle.into(), TcpSink::default()).unwrap();
        let (blocked, mut unread) = connection();
        sources.tcp_source("blocked", blocked.into(), how).unwrap();
        let (busy, reading) = connection();
        sources.tcp_source("busy", busy.into(), how).unwrap();
        sinks.tcp_sink("busy", reading.into(), TcpSink::default()).unwrap();
        sinks.start();
        sources.start();
        until("bytes flow", || sinks.iter().nth(1).unwrap().counters().bytes() > 1_000_000);
        let mut before = 0;
        until("the unread connection is full", || {
            let now = sources.iter().next().unwrap().counters().bytes();
            std::thread::park_timeout(Duration::from_millis(250));
            std::mem::replace(&mut before, now) == now && now > 0
        });
        sources.freeze();
        sinks.freeze();
        ended(&sources).await;
        ended(&sinks).await;
        let last = (total(&sources), total(&sinks));
        for stream in sources.iter().chain(sinks.iter()) {
            assert!(matches!(stream.end(), Some(End::Frozen)));
            tcp_info(stream.socket()).unwrap();
        }
        let blocked = sources.iter().next().unwrap().counters().bytes();
        let mut arrived = vec![0; usize::try_from(blocked).unwrap()];
        unread.read_exact(&mut arrived).unwrap();
        unread.set_nonblocking(true).unwrap();
        assert_eq!(
            unread.read(&mut [0]).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock,
            "open, and nothing more"
        );
        assert_eq!((total(&sources), total(&sinks)), last);
        silent.set_nonblocking(true).unwrap();
        assert!((&silent).read(&mut [0]).is_err(), "the idle one is open too");
    }
}

#[tokio::test]
async fn shutdown_frees_threads_whatever_they_wait_for() {
    let (mut sources, mut sinks) = (unlimited(), unlimited());
    let (_silent, idle) = connection();
    sinks.tcp_sink("idle", idle.into(), TcpSink::default()).unwrap();
    let (blocked, _unread) = connection();
    sources.tcp_source("blocked", blocked.into(), TcpSource::default()).unwrap();
    let (slow, _unread_too) = connection();
    let pace = Some(Pace::new(8));
    sources
        .tcp_source("slow", slow.into(), TcpSource { pace, block: Some(1000), ..TcpSource::default() })
        .unwrap();
    sinks.start();
    sources.start();
    until("the slow one has sent its block", || sources.iter().nth(1).unwrap().counters().bytes() == 1000);
    sources.shutdown();
    sinks.shutdown();
    ended(&sources).await;
    ended(&sinks).await;
}

#[tokio::test]
async fn peer_that_closes_or_resets_ends_its_stream_alone_and_says_so() {
    let (mut sources, mut sinks) = (unlimited(), unlimited());
    let (client, server) = connection();
    sinks.tcp_sink("closed", server.into(), TcpSink::default()).unwrap();
    let (source, reset) = connection();
    sources.tcp_source("reset", source.into(), TcpSource::default()).unwrap();
    let (_stays, other) = connection();
    sinks.tcp_sink("stays", other.into(), TcpSink::default()).unwrap();
    sinks.start();
    sources.start();
    drop(client);
    socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).unwrap();
    drop(reset);
    ended(&sources).await;
    tokio::time::timeout(SOON, sinks.any_ended()).await.unwrap();
    assert!(matches!(sources.iter().next().unwrap().end(), Some(End::PeerClosed)));
    until("the end is there", || sinks.iter().next().unwrap().end().is_some());
    assert!(matches!(sinks.iter().next().unwrap().end(), Some(End::PeerClosed)));
    assert_eq!(sinks.ended(), 1);
}

#[tokio::test]
async fn sink_that_was_reset_says_peer_closed_too() {
    let mut sinks = unlimited();
    let (client, server) = connection();
    sinks.tcp_sink("reset", server.into(), TcpSink::default()).unwrap();
    sinks.start();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    ended(&sinks).await;
    assert!(matches!(sinks.iter().next().unwrap().end(), Some(End::PeerClosed)));
}

/// E6: the rate is the average over the time measured, so a busy machine does not matter.
#[tokio::test]
async fn paced_source_keeps_its_rate_on_average() {
    for (bits, block) in [(80_000_000, None), (16_000_000, Some(10_000)), (400_000_000, None)] {
        let (mut sources, mut sinks) = (unlimited(), unlimited());
        let (client, server) = connection();
        let how = TcpSource { pace: Some(Pace::new(bits)), block, ..TcpSource::default() };
        sources.tcp_source("paced", client.into(), how).unwrap();
        sinks.tcp_sink("sink", server.into(), TcpSink::default()).unwrap();
        sinks.start();
        let before = now();
        sources.start();
        let sent = || sources.iter().next().unwrap().counters().bytes();
        until("the average is right within 2 %", || {
            let earliest = before.elapsed();
            let bytes = sent();
            let latest = before.elapsed();
            assert!(bytes <= Pace::new(bits).bytes_in(latest) + 131_072, "never ahead by more than a block");
            let due = Pace::new(bits).bytes_in(earliest);
            earliest > Duration::from_millis(500) && bytes >= due - due / 50 && bytes <= due + due / 50
        });
        sources.freeze();
        ended(&sources).await;
    }
}

#[test]
fn threads_descriptors_and_buffers_are_gone_with_the_streams() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let names = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .filter(|name| name.starts_with("gone-"))
            .count()
    };
    let inodes = |sockets: &[u64]| {
        let fds = std::fs::read_dir("/proc/self/fd").unwrap();
        fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
            .filter(|link| sockets.iter().any(|inode| link.to_string_lossy() == format!("socket:[{inode}]")))
            .count()
    };
    let inode = |socket: &TcpStream| rustix::fs::fstat(socket).unwrap().st_ino;
    let (mut sources, mut sinks) = (unlimited(), unlimited());
    let mut sockets = Vec::new();
    for by_reference in [false, true] {
        let (client, server) = connection();
        sockets.extend([inode(&client), inode(&server)]);
        sources
            .tcp_source("gone-source", client.into(), TcpSource { by_reference, ..TcpSource::default() })
            .unwrap();
        sinks.tcp_sink("gone-sink", server.into(), TcpSink::default()).unwrap();
    }
    sinks.start();
    sources.start();
    until("bytes flow", || sinks.iter().all(|sink| sink.counters().bytes() > 1_000_000));
    assert_eq!((names(), inodes(&sockets)), (4, 4));
    let counters = Arc::clone(sinks.iter().next().unwrap().counters());
    assert!(counters.tid().is_some() && counters.cpu() > Duration::ZERO);
    drop(sources);
    drop(sinks);
    assert_eq!((names(), inodes(&sockets)), (0, 0));
    let (user, system) = counters.final_cpu();
    assert!(counters.tid().is_none() && user + system == counters.cpu());
    drop(runtime);
}

/// A link that is no plain socket, such as a tunnel.
#[tokio::test]
async fn other_links_are_sinks_and_sources_too() {
    struct Counted(Arc<Mutex<u64>>);
    impl Bytes for Counted {
        fn read_discard(&mut self, max: usize) -> std::io::Result<usize> {
            let mut left = self.0.lock().unwrap();
            let count = max.min(1000).min(usize::try_from(*left).unwrap());
            *left -= count as u64;
            Ok(count)
        }
        fn write(&mut self, count: usize) -> std::io::Result<usize> {
            *self.0.lock().unwrap() += count as u64;
            Ok(count)
        }
    }
    let ((one, _one), (two, _two)) = (connection(), connection());
    let pipe = Arc::new(Mutex::new(0));
    let (_, mut sources) = limited(5_000_123);
    let link = || Box::new(Counted(Arc::clone(&pipe)));
    sources.tcp_source("over", Link::Over(link(), Arc::new(one)), TcpSource::default()).unwrap();
    sources.start();
    ended(&sources).await;
    assert_eq!((*pipe.lock().unwrap(), total(&sources)), (5_000_123, 5_000_123));
    let mut sinks = unlimited();
    sinks.tcp_sink("over", Link::Over(link(), Arc::new(two)), TcpSink::default()).unwrap();
    sinks.start();
    ended(&sinks).await;
    assert_eq!(total(&sinks), 5_000_123);
    assert!(matches!(sinks.iter().next().unwrap().end(), Some(End::PeerClosed)));
}

#[tokio::test]
async fn panic_of_one_stream_is_its_end_and_nobody_elses() {
    struct Broken;
    impl Purse for Broken {
        fn spend(
            &self,
            _: std::ops::RangeInclusive<usize>,
            _: &mut dyn FnMut(usize) -> std::io::Result<usize>,
        ) -> Option<std::io::Result<usize>> {
            panic!("a bug")
        }
    }
    let mut sinks = Streams::new(Arc::new(Broken));
    let (_client, server) = connection();
    sinks.tcp_sink("broken", server.into(), TcpSink::default()).unwrap();
    sinks.start();
    ended(&sinks).await;
    assert!(matches!(sinks.iter().next().unwrap().end(), Some(End::Panicked)));
}
