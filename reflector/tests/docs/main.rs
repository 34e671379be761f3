//! The reference pages name exactly what the code knows: a reason or field without a row is red, and so is a row
//! without its reason or field.
#![allow(clippy::unwrap_used, reason = "a test")]

mod audit;
mod generated;
mod limits;

use std::collections::BTreeSet;

use crds::EndpointId;
use crds::reasons::DenialReason;
use jiff::Timestamp;
use reflector::engine::evidence::limit::{By, Cause, Limit};
use reflector::engine::evidence::{Evidence, clock, cpu, nic, tcp, thermal};
use reflector::engine::measured::{Measured, StreamMeasured};
use reflector::identity::Statement;
use reflector::ledger::quota::LastTest;
use reflector::link::decode;
use reflector::link::message::{
    ActiveTest, Message, Mode, PathMeta, PolicySummary, Protocol, ServerHello, SessionGrant, SessionParams,
    SessionResult, StatusSnapshot, TestType,
};
use reflector::reason::{CodeReason, DenyReason, EndReason, RefuseReason};
use serde_json::Value;
use uuid::Uuid;

const REASONS: &str = include_str!("../../../docs/reference/reasons.md");
const PROTOCOL: &str = include_str!("../../../docs/reference/protocol.md");
const AUDIT: &str = include_str!("../../../docs/reference/audit.md");
const METRICS: &str = include_str!("../../../docs/reference/metrics.md");
const EXIT_CODES: &str = include_str!("../../../docs/reference/exit-codes.md");

fn succession() -> Statement {
    let id = EndpointId::from_public_key([1; 32]);
    Statement { old: id, new: id, at: Timestamp::UNIX_EPOCH, signature: String::new() }
}

/// The text below a heading, up to the next one of the same or a higher level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let Some((_, after)) = page.split_once(&format!("\n{heading}\n")) else { return "" };
    let mut end = after.len();
    for (at, _) in after.match_indices("\n#") {
        let next = &after[at + 1..];
        if next.bytes().take_while(|byte| *byte == b'#').count() <= level {
            end = at;
            break;
        }
    }
    &after[..end]
}

/// The cells of every table row below the header.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let table = section.lines().filter(|line| line.starts_with('|'));
    table.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The first cell of every row, without its backticks.
fn names(section: &str) -> Vec<&str> {
    rows(section).into_iter().filter_map(|row| row.first().map(|cell| cell.trim_matches('`'))).collect()
}

/// Red when a reason is added, renamed or removed without its row, or the order differs.
#[test]
fn every_reason_has_its_row_and_no_row_is_without_reason() {
    let pages: [(&str, Vec<&str>); 4] = [
        ("## Why a session was not granted", DenyReason::ALL.iter().map(|reason| reason.as_str()).collect()),
        ("## Why a session ended", EndReason::ALL.iter().map(|reason| reason.as_str()).collect()),
        (
            "## Why a connection was refused or closed",
            RefuseReason::ALL.iter().map(|reason| reason.as_str()).collect(),
        ),
        (
            "## Why a pairing code was not accepted",
            CodeReason::ALL.iter().map(|reason| reason.as_str()).collect(),
        ),
    ];
    for (heading, known) in pages {
        assert_eq!(names(section(REASONS, heading)), known, "docs/reference/reasons.md, {heading}");
    }
}

#[test]
fn every_reason_says_what_it_means_and_what_to_do() {
    for row in REASONS.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
}

/// What to do differs between a host and a cluster; what it means does not.
#[test]
fn the_page_explains_denials_as_the_plugin_does() {
    for reason in DenialReason::all() {
        let name = format!("`{}`", reason.as_str());
        let row = rows(REASONS).into_iter().find(|row| {
            row.first() == Some(&name.as_str()) && row[1].replace('`', "") == reason.explanation()
        });
        assert!(row.is_some(), "docs/reference/reasons.md: {name} means: {}", reason.explanation());
    }
}

/// One message of each type with every optional field present. A new field does not compile until it is added here,
/// and then wants its row.
fn samples() -> Vec<Message> {
    let peer = EndpointId::from_public_key([7; 32]);
    let (test_id, at, text) = (Uuid::nil(), Timestamp::UNIX_EPOCH, String::new);
    let params = SessionParams {
        duration_sec: 1,
        protocol: Some(Protocol::Tcp),
        streams: Some(1),
        reverse: Some(true),
        mode: Some(Mode::Tunneled),
    };
    let policy_summary = PolicySummary {
        max_test_duration_sec: 1,
        max_concurrent_tests: 1,
        max_tests_per_hour: 1,
        allowed_test_types: vec![],
    };
    let active_test =
        ActiveTest { test_id, test_type: TestType::UdpEcho, peer_id: peer, started_at: at, remaining_sec: 1 };
    vec![
        Message::Hello { version: text(), features: vec![] },
        Message::ServerHello(ServerHello {
            version: text(),
            features: vec![],
            policy_summary,
            network_position: Some(text()),
            bytes_remaining: Some(1),
            succession: Some(succession()),
        }),
        Message::SessionRequest { test_type: TestType::Throughput, params },
        Message::SessionGrant(SessionGrant {
            test_id,
            mode: Mode::Tunneled,
            port: 1,
            token: text(),
            expires_at: at,
            duration_sec: Some(1),
            max_rate: Some(1),
        }),
        Message::SessionDeny { reason: DenyReason::Busy, message: text(), retry_after_sec: Some(1) },
        Message::SessionClose { test_id },
        Message::GetStatus,
        Message::StatusSnapshot(StatusSnapshot {
            endpoint_id: peer,
            uptime_sec: 1,
            active_test: Some(active_test),
            tests_today: 1,
            bytes_today: 1,
            network_position: Some(text()),
            last_test: Some(LastTest {
                test_id,
                test_type: TestType::UdpEcho,
                reason: EndReason::Completed,
                bytes: 1,
                duration_ms: 1,
                at,
            }),
        }),
        Message::GetPathMeta,
        Message::PathMeta(PathMeta {
            cpu_load: 0.0,
            memory_used_mb: 1,
            memory_total_mb: 1,
            load_avg: [0.0; 3],
            mtu: Some(1),
            time_synced: true,
            build_version: text(),
            build_hash: text(),
        }),
        Message::PairRequest { token: text() },
        Message::PairResponse { success: true, message: text(), endpoint_id: Some(peer) },
        Message::Ok,
        Message::Error { code: 1, message: text() },
        Message::SessionResult(Box::new(SessionResult {
            test_id,
            mode: Mode::Tunneled,
            end_reason: EndReason::Completed,
            duration_ms: 1,
            bytes: 1,
            unread_bytes: 1,
            measured: measured(),
        })),
    ]
}

fn measured() -> Measured {
    let evidence = Evidence {
        tcp_info: vec![tcp::Stream {
            id: 1,
            summary: tcp::TcpSummary::default(),
            sample_interval_ms: 100,
            samples: vec![],
        }],
        cpu: Some(cpu::CpuUse::default()),
        nic: Some(nic::NicUse::default()),
        thermal: Some(thermal::Thermal::default()),
        clock: Some(clock::ClockState { synced: true, error_bound_us: None, source: None }),
    };
    let limit = Limit { by: By::Policy, cause: Cause::Quota, also: vec![], evidence: vec![] };
    Measured {
        streams: vec![StreamMeasured::default()],
        echo_dropped: vec![("rate".into(), 1)],
        evidence,
        limit: Some(limit),
    }
}

/// Does not compile when a message type is missing from [`samples`].
const fn is_sampled(message: &Message) -> bool {
    match message {
        Message::Hello { .. }
        | Message::ServerHello(_)
        | Message::SessionRequest { .. }
        | Message::SessionGrant(_)
        | Message::SessionDeny { .. }
        | Message::SessionClose { .. }
        | Message::GetStatus
        | Message::StatusSnapshot(_)
        | Message::GetPathMeta
        | Message::PathMeta(_)
        | Message::PairRequest { .. }
        | Message::PairResponse { .. }
        | Message::Ok
        | Message::Error { .. }
        | Message::SessionResult(_) => true,
    }
}

/// `params`, `params.duration_sec`, … of a message.
fn fields(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    for (name, inner) in value.as_object().into_iter().flatten().filter(|(name, _)| *name != "type") {
        let path = format!("{prefix}{name}");
        fields(&format!("{path}."), inner, found);
        found.insert(path);
    }
}

/// Red when a message or field is added, renamed or removed without its row.
#[test]
fn every_message_and_field_has_its_row_and_no_row_is_without_field() {
    let messages = section(PROTOCOL, "## Messages");
    let mut types = Vec::new();
    for message in samples() {
        assert!(is_sampled(&message));
        let value = serde_json::to_value(&message).unwrap();
        let tag = value["type"].as_str().unwrap().to_owned();
        let mut known = BTreeSet::new();
        fields("", &value, &mut known);
        let listed: BTreeSet<_> =
            names(section(messages, &format!("### {tag}"))).into_iter().map(str::to_owned).collect();
        assert_eq!(listed, known, "docs/reference/protocol.md, {tag}");
        types.push(tag);
    }
    let headings: Vec<_> = messages.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(headings, types);
}

/// Red when a value is renamed without its row.
#[test]
fn every_value_has_its_row_and_no_row_is_without_value() {
    let name = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let mut known = BTreeSet::new();
    for test_type in [TestType::Throughput, TestType::UdpEcho] {
        known.insert(("test_type", name(serde_json::to_value(test_type).unwrap())));
    }
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        known.insert(("protocol", name(serde_json::to_value(protocol).unwrap())));
    }
    for mode in [Mode::DirectEphemeral, Mode::Tunneled] {
        known.insert(("mode", name(serde_json::to_value(mode).unwrap())));
    }
    let listed: BTreeSet<_> = rows(section(PROTOCOL, "## Values"))
        .iter()
        .map(|row| (row[0].trim_matches('`'), row[1].trim_matches('`').to_owned()))
        .collect();
    assert_eq!(listed, known);
}

/// The example frame is the one appliances send, and its length is right.
#[test]
fn the_example_frame_is_a_frame() {
    let example = PROTOCOL.lines().find(|line| line.starts_with("00000067 ")).unwrap();
    let (length, payload) = example.split_once(' ').unwrap();
    assert_eq!(usize::from_str_radix(length, 16).unwrap(), payload.len());
    let value: Value = serde_json::from_str(payload).unwrap();
    let message = decode(value.to_string().as_bytes()).unwrap().payload;
    assert!(matches!(message, Message::Hello { .. }));
}

/// Red when a page links to a page or heading that is not there.
#[test]
fn links_between_the_reference_pages_lead_somewhere() {
    let anchor = |heading: &str| heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    let anchors =
        |page: &str| page.lines().filter(|line| line.starts_with('#')).map(anchor).collect::<BTreeSet<_>>();
    let pages = [
        ("reasons.md", REASONS),
        ("protocol.md", PROTOCOL),
        ("audit.md", AUDIT),
        ("metrics.md", METRICS),
        ("exit-codes.md", EXIT_CODES),
    ];
    for (name, page) in pages {
        for (_, rest) in page.match_indices("](").map(|(at, found)| page.split_at(at + found.len())) {
            let target = rest.split(')').next().unwrap_or_default();
            let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
            let named = pages.iter().find(|(known, _)| *known == file).map(|(_, page)| *page);
            let other = if file.is_empty() { Some(page) } else { named };
            let other = other.unwrap_or_else(|| panic!("{name} links to {file}"));
            assert!(wanted.is_empty() || anchors(other).contains(wanted), "{name} links to {target}");
        }
    }
}
