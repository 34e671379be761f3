//! UDP echo as sessions run it, over real sockets: who is answered, how often, and what is counted.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test's helpers fail by panicking and have deadlines"
)]

mod house;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use house::{Asks, House, On, PATIENCE, address, arrived, dropped, peer, receive, socket};
use reflector::engine::echo::bucket::burst;
use reflector::engine::echo::probe::{Probe, Settings, Target};
use reflector::engine::echo::tally::Report;
use reflector::engine::echo::wire::{self, Keys, MAX_LENGTH, MIN_LENGTH, Request};
use reflector::link::message::TestType;
use reflector::reason::EndReason;

/// Where nothing is to be lost: its burst outlasts any time a busy machine keeps the echo thread waiting.
const CALM: u32 = 1_000_000;

async fn until(mut done: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "no {what}");
        // Looking takes the probe's lock: whoever looks all the time keeps it from its work.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// E7, E12, E15: on both kinds of port and both families; every byte is on the account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keyed_echo_measures_round_trips_and_counts_every_byte() {
    for (on, from) in [
        (On::DataPort, "127.0.0.1"),
        (On::DataPort, "::1"),
        (On::ControlPort, "127.0.0.1"),
        (On::ControlPort, "::1"),
    ] {
        let from = from.parse().unwrap();
        let house = House::new(on, matches!(from, std::net::IpAddr::V6(_)));
        let run = house.grant(Asks { from, max_pps: CALM, ..Asks::keyed() }).await;
        let target = Target::direct(run.server).unwrap();
        let probe = Probe::start(target, Settings { keys: Some(run.keys()), pps: 500, length: 100 }).unwrap();
        until(|| probe.snapshot().received >= 100, "100 round trips").await;
        let now = probe.snapshot();
        assert!(now.p50_us.is_some() && now.now_us.is_some(), "{now:?}");
        let [report] = probe.finish().await.try_into().unwrap();
        house.sessions.stop_peer(&peer(), EndReason::ClientTerminated);
        let record = run.end().await;
        assert!(!report.samples.is_empty());
        let report = Report { samples: Vec::new(), ..report };
        let rtt = report.rtt.unwrap();
        assert_eq!(
            (report.lost(), report.duplicate, rtt.n),
            (0, 0, report.sent),
            "{on:?} {from} {report:?} {:?}",
            record.ended
        );
        assert!(rtt.min_us <= rtt.p50_us && rtt.p50_us <= rtt.p99_us && rtt.p99_us <= rtt.max_us, "{rtt:?}");
        // One host, one clock: the ways add up to the round trip.
        let ways = report.one_way.unwrap();
        for way in [ways.up, ways.down] {
            assert!((0.0..=rtt.max_us).contains(&way.p50_us), "{ways:?} {rtt:?}");
        }
        assert_eq!(record.bytes, report.sent * 200, "both ways");
        assert_eq!(house.ledger.usage(&peer()).unwrap().bytes_today, record.bytes);
        assert_eq!(record.reason(), EndReason::ClientTerminated);
    }
}

/// E8, X4: spoofed, replayed, foreign. The good request at the end proves that all before it was looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_lacks_address_or_key_gets_zero_bytes_and_no_icmp() {
    for on in [On::DataPort, On::ControlPort] {
        let house = House::new(on, false);
        let run = house.grant(Asks::keyed()).await;
        let (good, elsewhere) = (run.socket(), socket(address(3), run.server));
        good.send(&run.request(1, 64)).unwrap();
        assert_eq!(receive(&good).len(), 64);
        let mut changed = run.request(2, 64);
        changed[50] ^= 1;
        let wrong_keys = Keys::new(&[1; 64], run.test_id());
        let mut wrong_key = vec![0; 64];
        wire::write_request(&mut wrong_key, &wrong_keys, Request { seq: 2, t1: 1 });
        let other_id = Keys::new(&[0x5a; 64], uuid::Uuid::nil());
        let mut other_test = vec![0; 64];
        wire::write_request(&mut other_test, &other_id, Request { seq: 2, t1: 1 });
        let too_long = vec![0; MAX_LENGTH + 1];
        for bad in [
            &changed,
            &wrong_key,
            &other_test,
            &run.request(1, 64),
            &run.request(2, 100)[..99].to_vec(),
            &run.request(2, 64)[..63].to_vec(),
            &vec![],
            &too_long,
            &b"4 bytes or so".to_vec(),
            &vec![b'x'; 64],
        ] {
            good.send(bad).unwrap();
            elsewhere.send(bad).unwrap();
        }
        elsewhere.send(&run.request(2, 64)).unwrap();
        good.send(&run.request(2, 64)).unwrap();
        assert_eq!(wire::read_reply(&receive(&good), &run.keys()).unwrap().stamp.accepted, 2, "{on:?}");
        assert_eq!(arrived(&good), [], "{on:?}");
        assert_eq!(arrived(&elsewhere), [], "{on:?}");
        let server = run.server;
        house.sessions.stop_peer(&peer(), EndReason::ClientTerminated);
        let record = run.end().await;
        assert_eq!(record.bytes, 4 * 64, "strangers' bytes are not the peer's");
        let counts = ["tag", "other_test", "replay", "length", "kind"].map(|cause| dropped(&record, cause));
        assert_eq!(counts, [2, 1, 1, 5, 1], "{on:?}");
        if on == On::DataPort {
            assert_eq!(dropped(&record, "kernel"), 11, "the filter took the stranger's");
            // Now nobody listens: the check above would have seen an ICMP error.
            good.send(&[0; 64]).unwrap();
            until(|| arrived(&good).contains(&Err(std::io::ErrorKind::ConnectionRefused)), "ICMP").await;
            assert!(std::net::UdpSocket::bind(server).is_ok(), "the port is free");
        } else {
            assert!(!house.doors.expects(address(2)), "the door is closed");
        }
    }
}

/// E8: amplification at most 1.0 at every length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_as_long_as_its_request() {
    for asks in [Asks::keyed(), Asks::legacy()] {
        let house = House::new(On::DataPort, false);
        let run = house.grant(asks).await;
        let good = run.socket();
        let mut sum = 0;
        for (seq, length) in (1..).zip([MIN_LENGTH, 65, 1472, 1473, 4000, MAX_LENGTH]) {
            let request = run.request(seq, length);
            good.send(&request).unwrap();
            let answer = receive(&good);
            assert_eq!((answer.len(), &answer[MIN_LENGTH..]), (length, &request[MIN_LENGTH..]));
            assert_eq!(answer == request, !asks.keyed, "without keys it comes back as it went");
            sum += 2 * length as u64;
        }
        house.sessions.stop_peer(&peer(), EndReason::ClientTerminated);
        assert_eq!(run.end().await.bytes, sum);
    }
}

/// E7: the cap holds whatever is sent, and what it drops is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_above_the_cap_gets_rate_and_burst_and_no_more() {
    for asks in [Asks::keyed(), Asks::legacy()] {
        let house = House::new(On::DataPort, false);
        let started = Instant::now();
        let run = house.grant(asks).await;
        let (good, until) = (run.socket(), Instant::now() + Duration::from_millis(500));
        let (mut sent, mut got) = (0_u64, 0_u64);
        while Instant::now() < until {
            for _ in 0..32 {
                sent += 1;
                good.send(&run.request(sent, 64)).unwrap();
            }
            got += arrived(&good).len() as u64;
        }
        house.sessions.stop_peer(&peer(), EndReason::ClientTerminated);
        let record = run.end().await;
        got += arrived(&good).len() as u64;
        let most = u64::from(burst(10_000)) + u64::try_from(started.elapsed().as_millis()).unwrap() * 10;
        assert!(got <= most, "{got} answers, {most} may be");
        let above = dropped(&record, "rate");
        assert!(
            above > 0 && got > 0 && got + above <= sent,
            "{sent} sent, {got} answered, {above} above the rate"
        );
        assert!(record.bytes >= got * 128 && record.bytes <= sent * 64 + most * 64, "{} bytes", record.bytes);
    }
}

/// E8: the first port keeps it until it was silent for two seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn legacy_echo_stays_with_a_port_and_follows_a_peer_that_moved() {
    for on in [On::DataPort, On::ControlPort] {
        let house = House::new(on, false);
        let run = house.grant(Asks::legacy()).await;
        let (first, second, stranger) = (run.socket(), run.socket(), socket(address(3), run.server));
        first.send(b"from the first").unwrap();
        assert_eq!(receive(&first), b"from the first");
        second.send(b"too early").unwrap();
        stranger.send(b"never").unwrap();
        let asked = Instant::now();
        first.send(b"again").unwrap();
        assert_eq!(receive(&first), b"again");
        // Asks until it is heard; nothing is assumed about when.
        second.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let began = Instant::now();
        let mut answer = [0; 16];
        while second.recv(&mut answer).is_err() {
            assert!(began.elapsed() < PATIENCE, "{on:?}: never moved");
            second.send(b"moved").unwrap();
        }
        assert_eq!(&answer[..5], b"moved");
        assert!(asked.elapsed() > Duration::from_millis(1500), "{on:?}: moved at once");
        assert_eq!((arrived(&first), arrived(&stranger)), (vec![], vec![]));
        house.sessions.stop_peer(&peer(), EndReason::ClientTerminated);
        assert!(dropped(&run.end().await, "port") >= 1);
    }
}

/// A NAT may give a peer another port at any time; keys say that it is the same peer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keyed_echo_follows_its_peer_to_any_port_at_once() {
    for on in [On::DataPort, On::ControlPort] {
        let house = House::new(on, false);
        let run = house.grant(Asks::keyed()).await;
        for seq in 1..=6 {
            let moved = run.socket();
            moved.send(&run.request(seq, 64)).unwrap();
            let reply = wire::read_reply(&receive(&moved), &run.keys()).unwrap();
            assert_eq!((reply.request.seq, u64::from(reply.stamp.accepted)), (seq, seq), "{on:?}");
        }
    }
}

/// X1, G6: cut in the middle, not a byte above the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_cut_when_the_bytes_of_the_day_are_used_up() {
    // Room for a request, but not for its answer, at the end.
    for limit in [128 * 50, 128 * 50 + 100] {
        let house = House::new(On::DataPort, false);
        let run = house.grant(Asks { bytes: Some(limit), ..Asks::keyed() }).await;
        let good = run.socket();
        for seq in 1..=50 {
            good.send(&run.request(seq, 64)).unwrap();
            assert_eq!(receive(&good).len(), 64);
        }
        good.send(&run.request(51, 64)).unwrap();
        let record = run.end().await;
        assert_eq!(record.reason(), EndReason::QuotaExceeded, "{limit}");
        assert!(record.bytes <= limit && record.bytes >= 128 * 50, "{} of {limit}", record.bytes);
        assert_eq!(house.ledger.usage(&peer()).unwrap().bytes_today, record.bytes);
        assert_eq!(arrived(&good).iter().filter(|one| one.is_ok()).count(), 0);
        assert_eq!(dropped(&record, "quota"), 1);
    }
}

/// E11: one session, one row of numbers, two phases.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_loaded_phases_are_reported_apart() {
    let house = House::new(On::DataPort, false);
    let run = house.grant(Asks { from: address(1), max_pps: CALM, ..Asks::keyed() }).await;
    let target = Target::direct(run.server).unwrap();
    let probe = Probe::start(target, Settings { keys: Some(run.keys()), pps: 1000, length: 64 }).unwrap();
    until(|| probe.snapshot().received >= 20, "idle round trips").await;
    probe.next_phase();
    until(|| probe.snapshot().phase == 2 && probe.snapshot().received >= 20, "loaded round trips").await;
    let [idle, loaded] = probe.finish().await.try_into().unwrap();
    for phase in [&idle, &loaded] {
        assert!(phase.rtt.unwrap().n >= 20 && phase.lost() == 0, "{phase:?}");
    }
    house.sessions.stop_peer(&peer(), EndReason::ClientTerminated);
    assert_eq!(run.end().await.bytes, (idle.sent + loaded.sent) * 128);
}

/// E11: a throughput grant answers keyed echo on its port too, from before its client connects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throughput_grant_answers_keyed_echo_on_its_port() {
    for on in [On::DataPort, On::ControlPort] {
        let house = House::new(on, false);
        let run = house
            .grant(Asks { test_type: TestType::Throughput, from: address(1), max_pps: CALM, ..Asks::keyed() })
            .await;
        let target = Target::direct(run.server).unwrap();
        let probe = Probe::start(target, Settings { keys: Some(run.keys()), pps: 1000, length: 64 }).unwrap();
        until(|| probe.snapshot().received >= 50, "round trips").await;
        let [report] = probe.finish().await.try_into().unwrap();
        assert_eq!((report.lost(), report.rtt.unwrap().n), (0, report.sent), "{on:?}");
        house.sessions.stop_peer(&peer(), EndReason::ClientTerminated);
        assert_eq!(run.end().await.bytes, report.sent * 128, "on the account of the session");
    }
}

/// Without keys, or for a peer that may not use echo, a throughput grant answers none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throughput_grant_answers_no_echo_that_was_not_granted() {
    for (keyed, echo) in [(false, true), (true, false)] {
        let house = House::new(On::DataPort, false);
        let asks = Asks { test_type: TestType::Throughput, keyed, echo, ..Asks::keyed() };
        let run = house.grant(asks).await;
        let good = run.socket();
        for seq in 1..=10 {
            good.send(&run.request(seq, 64)).unwrap();
        }
        house.sessions.stop_peer(&peer(), EndReason::ClientTerminated);
        assert_eq!(run.end().await.bytes, 0);
        assert_eq!(arrived(&good).iter().filter(|one| one.is_ok()).count(), 0);
    }
}

/// E7: without keys the probe still measures, and does not claim to know directions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn legacy_echo_is_measured_too() {
    let house = House::new(On::ControlPort, false);
    let run = house.grant(Asks { from: address(1), max_pps: CALM, ..Asks::legacy() }).await;
    let target = Target::direct(run.server).unwrap();
    let probe = Probe::start(target, Settings { keys: None, pps: 500, length: 64 }).unwrap();
    until(|| probe.snapshot().received >= 20, "round trips").await;
    let [report] = probe.finish().await.try_into().unwrap();
    assert_eq!((report.lost_up, report.lost_down, report.lost()), (None, None, 0), "{report:?}");
    assert_eq!(report.rtt.unwrap().n, report.sent);
}

/// A server that answers nothing is loss in a direction nobody knows, and costs two seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_hears_nothing_reports_loss() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = Target::direct(silent.local_addr().unwrap()).unwrap();
    let probe = Probe::start(target, Settings { keys: None, pps: 100, length: 64 }).unwrap();
    until(|| probe.snapshot().sent >= 5, "requests").await;
    let [report] = probe.finish().await.try_into().unwrap();
    assert_eq!((report.rtt, report.lost_unknown), (None, report.sent));
}

/// E4: nothing is left of a session, ten times over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_and_ports_are_gone_when_a_session_has_ended() {
    for on in [On::DataPort, On::ControlPort] {
        let house = House::new(on, false);
        for _ in 0..10 {
            let run = house.grant(Asks { seconds: 1, ..Asks::keyed() }).await;
            let server: SocketAddr = run.server;
            let good = run.socket();
            good.send(&run.request(1, 64)).unwrap();
            assert_eq!(receive(&good).len(), 64);
            house.sessions.stop_peer(&peer(), EndReason::Revoked);
            assert_eq!(run.end().await.reason(), EndReason::Revoked);
            if on == On::DataPort {
                assert!(std::net::UdpSocket::bind(server).is_ok(), "the port is closed");
            }
            assert!(!house.doors.expects(address(2)));
        }
    }
}

/// It ends by itself after what was granted, counted from the first request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_completes_after_its_granted_time() {
    let house = House::new(On::DataPort, false);
    let run = house.grant(Asks { seconds: 1, ..Asks::keyed() }).await;
    let good = run.socket();
    good.send(&run.request(1, 64)).unwrap();
    assert_eq!(receive(&good).len(), 64);
    assert_eq!(run.end().await.reason(), EndReason::Completed);
}
