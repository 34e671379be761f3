use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NAMES: &str = "src/metrics/names.txt";

/// A reflector that has seen some of everything.
fn busy() -> Metrics {
    let metrics = Metrics::new(PerPeer::Shown);
    metrics.connection_opened();
    metrics.handshake(Handshake::Ok, Duration::from_millis(3));
    metrics.session_ended(TestType::Throughput, EndReason::Completed, Duration::from_secs(30), 4321);
    metrics.revoked(Duration::from_millis(12));
    metrics.policy_state(PolicyState::Current);
    metrics.ledger_commit(CommitResult::Ok, Duration::from_millis(2));
    metrics.peers(vec![peer("attic", 10, Some(5))]);
    metrics
}

fn peer(name: &str, bytes_today: u64, bytes_remaining: Option<u64>) -> PeerUsage {
    PeerUsage { name: name.into(), bytes_today, tests_today: bytes_today / 10, bytes_remaining }
}

/// Metric names of a text, from its `# TYPE` lines.
fn names(text: &str) -> Vec<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut names: Vec<String> = types.map(str::to_owned).collect();
    names.sort();
    names
}

/// H3: names and types are API. Dashboards and alerts are checked against the same list.
#[test]
#[expect(clippy::disallowed_methods, reason = "asks whether the list is to be written anew")]
fn names_and_types_are_the_published_ones() {
    let names = names(&busy().render().unwrap()).join("\n") + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(NAMES);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &names).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        names, published,
        "metrics changed; update: UPDATE_GOLDEN=1 cargo test -p reflector --lib metrics::"
    );
}

/// H3
#[test]
fn every_metric_has_help_and_our_prefix() {
    let text = busy().render().unwrap();
    for name in names(&text) {
        let name = name.split(' ').next().unwrap();
        assert!(name.starts_with("reflector_") || name.starts_with("process_"), "{name}");
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > 10), "{name} has no help");
    }
}

/// H3
#[test]
fn promtool_finds_nothing_to_say() {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else {
        return e2e::skipping::skip_test("promtool (Debian package prometheus)");
    };
    child.stdin.take().unwrap().write_all(busy().render().unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// H3: a rate needs the zero before the first event.
#[test]
fn series_of_every_reason_exist_from_the_start() {
    let text = Metrics::new(PerPeer::Hidden).render().unwrap();
    for reason in RefuseReason::ALL {
        assert!(
            text.contains(&format!("reflector_connections_refused_total{{reason=\"{reason}\"}} 0")),
            "{reason}"
        );
    }
    for reason in EndReason::ALL {
        let series = format!("reflector_sessions_total{{end_reason=\"{reason}\",type=\"udp_echo\"}} 0");
        assert!(text.contains(&series), "{series}");
    }
    for reason in DenyReason::ALL {
        assert!(
            text.contains(&format!("reflector_session_denied_total{{reason=\"{reason}\"}} 0")),
            "{reason}"
        );
    }
}

/// G2: a session that ends in any way, a panic included, leaves the gauge.
#[test]
fn a_dropped_session_is_not_active() {
    let metrics = Metrics::new(PerPeer::Hidden);
    let active = |count| {
        let series = format!("reflector_sessions_active{{type=\"throughput\"}} {count}\n");
        assert!(metrics.render().unwrap().contains(&series), "{series}");
    };
    let first = metrics.session_started(TestType::Throughput);
    let second = metrics.session_started(TestType::Throughput);
    active(2);
    drop(first);
    active(1);
    drop(second);
    active(0);
}

#[test]
fn the_policy_is_in_one_state() {
    let metrics = Metrics::new(PerPeer::Hidden);
    metrics.policy_state(PolicyState::Current);
    metrics.policy_state(PolicyState::Stale);
    let text = metrics.render().unwrap();
    for (state, value) in [("current", 0), ("stale", 1), ("never_loaded", 0), ("grace_over", 0)] {
        assert!(text.contains(&format!("reflector_policy_state{{state=\"{state}\"}} {value}\n")), "{state}");
    }
}

/// The series of peers in a text: name, value.
fn peer_bytes(text: &str) -> Vec<(String, u64)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("reflector_peer_bytes_today{peer=\""));
    lines
        .map(|line| line.split_once("\"} ").unwrap())
        .map(|(n, v)| (n.to_owned(), v.parse().unwrap()))
        .collect()
}

/// H4
#[test]
fn only_the_busiest_peers_have_their_own_series() {
    let metrics = Metrics::new(PerPeer::Shown);
    let all = (0..500_u64).map(|number| peer(&format!("peer-{number}"), number, None)).collect();
    metrics.peers(all);
    let found = peer_bytes(&metrics.render().unwrap());
    assert_eq!(found.len(), TOP_PEERS + 1);
    assert!(
        found.contains(&("peer-480".to_owned(), 480)) && !found.iter().any(|(name, _)| name == "peer-479")
    );
    assert!(found.contains(&("other".to_owned(), (0..480).sum())), "{found:?}");
}

/// H4
#[test]
fn a_peer_that_is_gone_has_no_series() {
    let metrics = Metrics::new(PerPeer::Shown);
    metrics.peers(vec![peer("attic", 50, Some(7)), peer("cellar", 30, None)]);
    let text = metrics.render().unwrap();
    assert_eq!(peer_bytes(&text), [("attic".to_owned(), 50), ("cellar".to_owned(), 30)]);
    assert!(text.contains("reflector_peer_bytes_remaining{peer=\"attic\"} 7\n"), "{text}");
    assert!(!text.contains("reflector_peer_bytes_remaining{peer=\"cellar\"}"), "unlimited is not a number");
    metrics.peers(vec![peer("cellar", 31, None)]);
    let text = metrics.render().unwrap();
    assert_eq!(peer_bytes(&text), [("cellar".to_owned(), 31)]);
    assert!(!text.contains("attic"), "{text}");
}

/// H4
#[test]
fn hidden_peers_have_no_series() {
    let metrics = Metrics::new(PerPeer::Hidden);
    metrics.peers(vec![peer("attic", 50, Some(7))]);
    assert!(!metrics.render().unwrap().contains("reflector_peer_"));
}

/// H4: an administrator may call a peer `other`.
#[test]
fn a_peer_called_other_is_counted_with_the_others() {
    let metrics = Metrics::new(PerPeer::Shown);
    metrics.peers(vec![peer("other", 1000, Some(3)), peer("attic", 50, None)]);
    assert_eq!(
        peer_bytes(&metrics.render().unwrap()),
        [("attic".to_owned(), 50), ("other".to_owned(), 1000)]
    );
}

proptest! {
    /// H4: whatever peers there are, series are few and no byte is missing from their sum.
    #[test]
    fn no_byte_of_any_peer_is_missing(usage in prop::collection::btree_map("[a-z]{1,3}|other", 0_u64..1_000_000, 0..60)) {
        let metrics = Metrics::new(PerPeer::Shown);
        metrics.peers(usage.iter().map(|(name, bytes)| peer(name, *bytes, None)).collect());
        let found = peer_bytes(&metrics.render().unwrap());
        prop_assert!(found.len() <= TOP_PEERS + 1);
        prop_assert_eq!(found.iter().map(|(_, bytes)| bytes).sum::<u64>(), usage.values().sum::<u64>());
    }
}
