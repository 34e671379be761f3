//! Our client against a stock iperf3 server: the wire as others speak it.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reflector::client::throughput::{Direct, Ending, Outcome, Setup, ThroughputError, Tick, Way, run};
use reflector::engine::iperf::{Parameters, Transport};
use tokio_util::sync::CancellationToken;

/// A stock server for one test; killed when dropped.
struct Stock {
    child: Child,
    at: SocketAddr,
}

impl Stock {
    /// `None`, said aloud: no iperf3 here.
    fn start() -> Option<Self> {
        // Somebody may take the port in between; the test fails then, and says so.
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let program = std::env::var_os("REFLECTOR_TEST_IPERF3").unwrap_or_else(|| "iperf3".into());
        let mut command = Command::new(program);
        command.args(["-s", "-1", "--forceflush", "-B", "127.0.0.1", "-p", &at.port().to_string()]);
        let Ok(mut child) = command.stdout(Stdio::piped()).spawn() else {
            e2e::skipping::skip_test("iperf3 (Debian package iperf3)");
            return None;
        };
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("listening")), "iperf3 listens on {at}");
        // What it goes on to say must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, at })
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn test(at: SocketAddr, parameters: Parameters) -> Result<Outcome, ThroughputError> {
    let setup = Setup { parameters, local: None, peer_discards: false };
    let carrier = Direct { to: at, from: None };
    let (never, mut look_away) = (CancellationToken::new(), |_: Tick<'_>| {});
    let test = run(&setup, &carrier, &never, &mut look_away);
    tokio::time::timeout(Duration::from_secs(60), test).await.unwrap()
}

fn sums(outcome: &Outcome, way: Way) -> (u64, u64) {
    let flow = outcome.flows.iter().find(|flow| flow.way == way).unwrap();
    let theirs = outcome.remote.as_ref().unwrap().streams.iter();
    let theirs = theirs.filter(|stream| flow.ids.contains(&stream.id)).map(|stream| stream.bytes).sum();
    (flow.series.totals().iter().sum(), theirs)
}

/// E1, from the other side.
#[tokio::test(flavor = "multi_thread")]
async fn four_streams_up_move_what_a_stock_server_says_it_received() {
    let Some(stock) = Stock::start() else { return };
    let parameters = Parameters { time: 1, parallel: 4, ..Parameters::default() };
    let outcome = test(stock.at, parameters).await.unwrap();
    assert!(outcome.ending == Ending::Completed && outcome.problem.is_none(), "{:?}", outcome.problem);
    // Its kernel acknowledged what it had not read when it heard of the end, and counts not.
    let (ours, theirs) = sums(&outcome, Way::Up);
    assert!(ours > 0 && theirs > 0, "acknowledged {ours}, received {theirs}");
    let flow = &outcome.flows[0];
    assert_eq!(flow.ids, [1, 3, 4, 5]);
    assert!(flow.series.totals().iter().all(|bytes| *bytes > 0));
    assert!(flow.series.steps().len() >= 5 && flow.series.duration() >= Duration::from_millis(900));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_streams_down_receive_what_a_stock_server_sent() {
    let Some(stock) = Stock::start() else { return };
    let parameters = Parameters { time: 1, parallel: 2, reverse: true, ..Parameters::default() };
    let outcome = test(stock.at, parameters).await.unwrap();
    assert!(outcome.ending == Ending::Completed && outcome.problem.is_none(), "{:?}", outcome.problem);
    let (ours, theirs) = sums(&outcome, Way::Down);
    // What it sent after our end is on the way still.
    assert!(ours > 0 && theirs >= ours, "received {ours}, sent {theirs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_at_once_are_two_flows() {
    let Some(stock) = Stock::start() else { return };
    let parameters = Parameters { time: 1, parallel: 2, bidirectional: true, ..Parameters::default() };
    let outcome = test(stock.at, parameters).await.unwrap();
    assert!(outcome.ending == Ending::Completed && outcome.problem.is_none(), "{:?}", outcome.problem);
    let flows: Vec<_> = outcome.flows.iter().map(|flow| (flow.way, flow.ids.clone())).collect();
    assert_eq!(flows, [(Way::Up, vec![1, 3]), (Way::Down, vec![4, 5])]);
    assert!(sums(&outcome, Way::Up).1 > 0 && sums(&outcome, Way::Down).0 > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_bytes_ends_a_test_and_is_never_exceeded_when_sending() {
    let Some(stock) = Stock::start() else { return };
    let parameters = Parameters { bytes: 10_000_001, parallel: 2, reverse: true, ..Parameters::default() };
    let outcome = test(stock.at, parameters).await.unwrap();
    assert_eq!(outcome.ending, Ending::Completed);
    assert!(sums(&outcome, Way::Down).0 >= 10_000_001);

    let Some(stock) = Stock::start() else { return };
    let parameters = Parameters { bytes: 10_000_001, parallel: 2, ..Parameters::default() };
    let outcome = test(stock.at, parameters).await.unwrap();
    assert_eq!(outcome.ending, Ending::Completed);
    // What a stock server has not read when it hears of the end, it does not count.
    let theirs = sums(&outcome, Way::Up).1;
    assert!((1..=10_000_001).contains(&theirs), "{theirs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_omitted_is_in_no_number_of_either_side() {
    let Some(stock) = Stock::start() else { return };
    let parameters = Parameters { time: 1, omit: 1, bandwidth: 80_000_000, ..Parameters::default() };
    let outcome = test(stock.at, parameters).await.unwrap();
    assert_eq!(outcome.ending, Ending::Completed);
    let (ours, theirs) = sums(&outcome, Way::Up);
    // 10 MB a second: two of them would be twice that.
    for bytes in [ours, theirs] {
        assert!((1_000_000..15_000_000).contains(&bytes), "{bytes}");
    }
    assert!(outcome.flows[0].series.duration() < Duration::from_millis(1600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_and_one_that_is_killed_are_typed_endings() {
    let Some(mut stock) = Stock::start() else { return };
    let setup = Setup {
        parameters: Parameters { time: 30, ..Parameters::default() },
        local: None,
        peer_discards: false,
    };
    let carrier = Direct { to: stock.at, from: None };
    let (stop, (tell, mut told)) = (CancellationToken::new(), tokio::sync::mpsc::channel(1));
    let mut watch = move |tick: Tick<'_>| {
        if tick.at > Duration::from_millis(250) {
            let _ = tell.try_send(());
        }
    };
    let first = run(&setup, &carrier, &stop, &mut watch);
    let then = async {
        told.recv().await.unwrap();
        let busy = test(stock.at, Parameters::default()).await.unwrap();
        assert_eq!(busy.ending, Ending::Busy);
        stock.child.kill().unwrap();
    };
    let (outcome, ()) = tokio::join!(first, then);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.ending, Ending::Vanished);
    assert!(outcome.flows[0].series.totals()[0] > 0, "what was measured stands");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_test_says_so_and_keeps_its_numbers() {
    let Some(stock) = Stock::start() else { return };
    let setup = Setup {
        parameters: Parameters { time: 30, ..Parameters::default() },
        local: None,
        peer_discards: false,
    };
    let carrier = Direct { to: stock.at, from: None };
    let stop = CancellationToken::new();
    let interrupt = stop.clone();
    let mut watch = move |tick: Tick<'_>| {
        if tick.at > Duration::from_millis(250) {
            interrupt.cancel();
        }
    };
    let outcome = run(&setup, &carrier, &stop, &mut watch).await.unwrap();
    assert_eq!(outcome.ending, Ending::Interrupted);
    assert!(outcome.flows[0].series.totals()[0] > 0);
}

#[tokio::test]
async fn a_port_nobody_listens_on_is_unreachable_which_a_tunnel_may_help() {
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = test(at, Parameters::default()).await.err().unwrap();
    assert!(matches!(error, ThroughputError::Unreachable(_)), "{error:?}");
}

/// E6, from the other side.
#[tokio::test(flavor = "multi_thread")]
async fn datagrams_up_and_down_are_counted_alike_on_both_sides() {
    for reverse in [false, true] {
        let Some(stock) = Stock::start() else { return };
        let udp = Parameters {
            transport: Transport::Udp,
            time: 1,
            parallel: 2,
            reverse,
            length: 1000,
            bandwidth: 4_000_000,
            wide_counters: true,
            ..Parameters::default()
        };
        let outcome = test(stock.at, udp).await.unwrap();
        assert!(outcome.ending == Ending::Completed && outcome.problem.is_none(), "{:?}", outcome.problem);
        let ours = outcome.flows[0].results(1.0);
        let theirs = &outcome.remote.as_ref().unwrap().streams;
        for (ours, theirs) in ours.iter().zip(theirs) {
            let (sent, received) = if reverse { (theirs, ours) } else { (ours, theirs) };
            // What is on its way at the end, the receiver misses.
            assert!(received.packets > 0 && sent.packets >= received.packets, "{sent:?} {received:?}");
            // What did not get lost is there byte by byte. Numbers are read while datagrams come: one call takes 64.
            let arrived = received.packets - received.errors;
            assert!(arrived.abs_diff(received.bytes / 1000) <= 64, "{received:?}");
            assert!(received.jitter >= 0.0);
        }
    }
}
