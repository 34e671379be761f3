//! Our client against stock servers.

use std::net::{IpAddr, Ipv4Addr};

use reflector::client::throughput::{Direct, Ending, Outcome, Setup, Way, run};
use reflector::engine::iperf::params::{Parameters, Transport};
use tokio_util::sync::CancellationToken;

use super::cases::{Case, End, MATRIX, Ways};
use super::programs::{self, Iperf};
use super::run::Server;
use super::told::{Flow, Told};

/// The same test as the case's command line.
fn parameters(case: &Case) -> Parameters {
    let mut words = case.args.split_whitespace();
    let mut asked = Parameters {
        transport: if case.udp { Transport::Udp } else { Transport::Tcp },
        time: 0,
        reverse: case.ways == Ways::Down,
        bidirectional: case.ways == Ways::Both,
        parallel: case.streams,
        omit: case.omit,
        ..Parameters::default()
    };
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().unwrap();
            let (digits, unit) = text.split_at(text.trim_end_matches(['M', 'K']).len());
            // Rates are decimal, sizes binary, as iperf3 has it.
            let kilo = if word == "-b" { 1000_u64 } else { 1024 };
            let unit = match unit {
                "K" => kilo,
                "M" => kilo * kilo,
                _ => 1,
            };
            digits.parse::<u64>().unwrap() * unit
        };
        let small = |number: u64| u32::try_from(number).unwrap();
        match word {
            "-t" => asked.time = small(number()),
            "-n" => asked.bytes = number(),
            "-b" => asked.bandwidth = number(),
            "-l" => asked.length = small(number()),
            "-M" => asked.mss = small(number()),
            "-w" => asked.window = small(number()),
            "-O" | "-P" => drop(number()),
            "-N" => asked.no_delay = true,
            "-Z" => asked.zerocopy = true,
            "--get-server-output" => asked.wants_server_output = true,
            "--udp-counters-64bit" => asked.wide_counters = true,
            "-u" | "-R" | "--bidir" => {}
            other => panic!("{other}"),
        }
    }
    asked
}

async fn measure(program: &Iperf, case: &Case) -> Result<Told, String> {
    let server = Server::start(program, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    let carrier = Direct { to: server.address, from: None };
    let setup = Setup { parameters: parameters(case), peer_discards: false, local: None };
    let outcome = run(&setup, &carrier, &CancellationToken::new(), &mut |_| {}).await;
    let outcome = outcome.map_err(|error| format!("{error:?}"))?;
    if outcome.ending != Ending::Completed || outcome.problem.is_some() {
        return Err(format!("{:?} {:?}", outcome.ending, outcome.problem));
    }
    let told = told(&outcome, case)?;
    server.end().await?;
    Ok(told)
}

/// Both sides' numbers in the form of a stock client's JSON.
fn told(outcome: &Outcome, case: &Case) -> Result<Told, String> {
    let remote = outcome.remote.as_ref().ok_or("the server's results are missing")?;
    let (mut up, mut down) = (Flow::default(), Flow::default());
    let mut seconds = 0.0_f64;
    for flow in &outcome.flows {
        let ours = flow.results(0.0);
        seconds = seconds.max(flow.series.duration().as_secs_f64());
        for ours in &ours {
            let theirs = remote.streams.iter().find(|theirs| theirs.id == ours.id);
            let theirs =
                theirs.ok_or_else(|| format!("stream {} is not in the server's results", ours.id))?;
            let (sum, sent, received) = match flow.way {
                Way::Up => (&mut up, ours, theirs),
                Way::Down => (&mut down, theirs, ours),
            };
            sum.streams += 1;
            sum.sent += sent.bytes;
            sum.received += received.bytes;
            if case.udp {
                sum.packets += received.packets;
                sum.lost += received.errors;
                sum.jitter_ms = sum.jitter_ms.max(received.jitter * 1000.0);
            }
        }
    }
    Ok(Told { up, down, seconds, server_output: remote.server_output.clone(), json: serde_json::Value::Null })
}

async fn matrix(version: &str) {
    let Some(program) = programs::of(version) else { return };
    let mut wrong = Vec::new();
    for case in MATRIX.iter().filter(|case| case.end != End::Frozen) {
        let judged = measure(&program, case).await.and_then(|told| case.judge(&told));
        if let Err(what) = judged {
            wrong.push(format!("iperf3 {} {}: {what}", program.version, case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// E1
#[tokio::test(flavor = "multi_thread")]
async fn our_client_measures_against_iperf3_3_9() {
    matrix("3.9").await;
}

/// E1
#[tokio::test(flavor = "multi_thread")]
async fn our_client_measures_against_iperf3_3_12() {
    matrix("3.12").await;
}

/// E1
#[tokio::test(flavor = "multi_thread")]
async fn our_client_measures_against_iperf3_3_16() {
    matrix("3.16").await;
}

/// E1
#[tokio::test(flavor = "multi_thread")]
async fn our_client_measures_against_iperf3_3_18() {
    matrix("3.18").await;
}

/// E1
#[tokio::test(flavor = "multi_thread")]
async fn our_client_measures_against_iperf3_3_21() {
    matrix("3.21").await;
}
