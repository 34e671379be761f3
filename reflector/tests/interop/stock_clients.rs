//! Stock clients against our server: the whole program, a paired appliance that obtains the grant, and stock iperf3
//! started on the granted port as an appliance does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use e2e::appliance::{Appliance, Connection, Grant, Key, Test};
use serde_json::Value;

use super::bed::Bed;
use super::cases::{Case, End, MATRIX, Ways};
use super::programs::{self, Iperf, Version};
use super::told::Told;

const PROGRAM: &str = env!("CARGO_BIN_EXE_reflector");

/// No wait between tests, and as many as there are.
const QUOTAS: &str =
    "[quotas]\ncooldown_sec = 0\nmax_tests_per_hour_per_peer = 10000\nmax_test_duration_sec = 60\n";

/// Ports nobody else is likely to use; a taken one is skipped.
const DATA_PORTS: [(&str, &str); 2] = [
    ("REFLECTOR__NETWORK__DATA_PORT_RANGE_START", "23100"),
    ("REFLECTOR__NETWORK__DATA_PORT_RANGE_END", "23900"),
];

/// A reflector, and an appliance that is connected to it.
pub(crate) struct Served {
    pub(crate) bed: Bed,
    pub(crate) control: Connection,
}

impl Served {
    /// The program as it is shipped.
    pub(crate) async fn start(extra: &str, env: &[(&str, &str)]) -> Self {
        let bed = Bed::run(PROGRAM.as_ref(), extra, env).await;
        let (_, control) = bed.appliance("attic").await;
        Self { bed, control }
    }

    /// By an appliance that came with a pairing code, under the policy of an empty configuration.
    pub(crate) async fn paired() -> Self {
        let bed = Bed::run(PROGRAM.as_ref(), "", &[]).await;
        let code = bed.pair();
        let appliance = Appliance::builder(Key::generate());
        let (mut control, _) = appliance.open(bed.addr).await.unwrap();
        let answer = control.pair(&code).await.unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        let (control, _) = appliance.open(bed.addr).await.unwrap();
        Self { bed, control }
    }

    /// Asks for what the case needs, runs the client, and returns what both sides say.
    async fn run(&mut self, program: &Iperf, case: &Case) -> Result<(Told, Value), String> {
        let grant = self.grant(case).await?;
        let told = program.client(grant.data_addr(), &case.args()).await;
        let end = self.end_of(&grant).await;
        match told {
            Ok(told) => Ok((told, end)),
            Err(what) => Err(format!("{what} (ended as {} after {} s)", end["reason"], end["duration"])),
        }
    }

    async fn grant(&mut self, case: &Case) -> Result<Grant, String> {
        let test = Test::throughput(case.seconds()).streams(case.streams);
        let test = if case.ways == Ways::Down { test.download() } else { test };
        let test = if case.udp { test.protocol("udp") } else { test };
        let answer = self.control.request(&test).await.map_err(|error| format!("{error:?}"))?;
        answer.granted().map_err(|error| error.to_string())
    }

    /// The audit line of a session's end.
    pub(crate) async fn end_of(&self, grant: &Grant) -> Value {
        self.bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await
    }
}

/// Runs cases one after the other on one connection, each directly after the last.
async fn matrix(program: &Iperf, env: &[(&str, &str)], cases: impl Iterator<Item = &'static Case>) {
    let mut served = Served::start(QUOTAS, env).await;
    let mut wrong = Vec::new();
    let mut booked = 0;
    for case in cases.filter(|case| case.ends_with(&program.version)) {
        let judged = match served.run(program, case).await {
            Ok((told, end)) => {
                booked += bytes(&end, "bytes") + bytes(&end["params"], "unread_bytes");
                judge(case, &told, &end)
            }
            Err(what) => Err(what),
        };
        if let Err(what) = judged {
            wrong.push(format!("iperf3 {} {}: {what}", program.version, case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What the day has used up is what the ends say, and nothing is running any more.
    let series = "reflector_peer_bytes_today{peer=\"attic\"}";
    assert_eq!(format!("{:.0}", served.bed.metric(series).await), booked.to_string());
    assert!(served.bed.metric("reflector_sessions_active{type=\"throughput\"}").await.abs() < 0.5);
}

fn bytes(line: &Value, field: &str) -> u64 {
    line[field].as_u64().unwrap_or_default()
}

fn judge(case: &Case, told: &Told, end: &Value) -> Result<(), String> {
    case.judge(told)?;
    let reason = if case.end == End::Frozen { "duration_cap" } else { "completed" };
    if end["reason"] != reason {
        return Err(format!("ended as {} instead of {reason}", end["reason"]));
    }
    case.judge_books(told, bytes(end, "bytes"))
}

/// On the control port, which is the default; where not all is asked for, the data ports get the basic cases only.
async fn on_the_control_port(version: &str) {
    let Some(program) = programs::of(version) else { return };
    matrix(&program, &[], MATRIX.iter()).await;
}

async fn on_data_ports(version: &str) {
    let Some(program) = programs::of(version) else { return };
    matrix(&program, &DATA_PORTS, MATRIX.iter().filter(|case| super::long() || case.basic)).await;
}

/// E1, G2, G5
#[tokio::test]
async fn iperf3_3_9_is_served_on_the_control_port() {
    on_the_control_port("3.9").await;
}

/// E1, G2, G5
#[tokio::test]
async fn iperf3_3_12_is_served_on_the_control_port() {
    on_the_control_port("3.12").await;
}

/// E1, G2, G5
#[tokio::test]
async fn iperf3_3_16_is_served_on_the_control_port() {
    on_the_control_port("3.16").await;
}

/// E1, G2, G5
#[tokio::test]
async fn iperf3_3_18_is_served_on_the_control_port() {
    on_the_control_port("3.18").await;
}

/// E1, G2, G5
#[tokio::test]
async fn iperf3_3_21_is_served_on_the_control_port() {
    on_the_control_port("3.21").await;
}

/// E1
#[tokio::test]
async fn every_version_is_served_on_data_ports() {
    for version in programs::WANTED {
        on_data_ports(version).await;
    }
}

/// E1: a version nobody asked for is a client, too.
#[tokio::test]
async fn other_versions_that_are_here_are_served_as_well() {
    let wanted = programs::WANTED.map(|version| Version::parse(version).unwrap());
    for program in programs::all().iter().filter(|program| !wanted.contains(&program.version)) {
        eprintln!("also here: {} {}", program.path.display(), program.version);
        matrix(program, &[], MATRIX.iter().filter(|case| case.basic)).await;
    }
}

/// E12: the same policy and the same numbers over IPv6, on either placement.
#[tokio::test]
async fn a_client_over_ipv6_is_served_like_any_other() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return e2e::skipping::skip_test("an IPv6 loopback");
    }
    let Some(program) = programs::all().pop() else { return };
    let six = ("REFLECTOR__NETWORK__LISTEN_ADDRESS", "[::1]:0");
    let [start, end] = DATA_PORTS;
    matrix(&program, &[six], MATRIX.iter().filter(|case| case.basic)).await;
    matrix(&program, &[six, start, end], MATRIX.iter().filter(|case| case.basic)).await;
}

/// E12: one socket for both families, and an IPv4 peer is the same peer there.
#[tokio::test]
async fn an_ipv4_client_of_a_dual_stack_listener_is_served() {
    let Some(program) = programs::all().pop() else { return };
    let bed = Bed::run(PROGRAM.as_ref(), QUOTAS, &[("REFLECTOR__NETWORK__LISTEN_ADDRESS", "[::]:0")]).await;
    let key = Key::generate();
    bed.add(&key, "attic");
    let at = (IpAddr::V4(Ipv4Addr::LOCALHOST), bed.addr.port()).into();
    let (control, _) = Appliance::builder(key).open(at).await.unwrap();
    let mut served = Served { bed, control };
    for case in MATRIX.iter().filter(|case| case.basic) {
        let (told, end) = served.run(&program, case).await.unwrap();
        judge(case, &told, &end).unwrap();
    }
}
