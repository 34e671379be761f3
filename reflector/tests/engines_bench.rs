//! What the benchmark of the engines decides, and what its saved table says: docs/bench/engines.json.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../benches/engines/floor.rs"]
mod floor;
#[path = "../benches/engines/gate.rs"]
mod gate;

use floor::{Bound, Floor};
use gate::{End, Row, judge, summary};
use serde_json::Value;

const FEATURES: &str = include_str!("../../docs/features.md");
const SAVED: &str = include_str!("../../docs/bench/engines.json");

/// As many rows as the table has, of which the first ones end like this.
fn table(first: &[End]) -> Vec<Row> {
    let kept = std::iter::repeat_n(End::Kept, 19 - first.len());
    let ends = first.iter().cloned().chain(kept).enumerate();
    ends.map(|(number, end)| (format!("row {number}"), end)).collect()
}

fn busy() -> End {
    End::Busy("others (41 %)".to_owned())
}

#[test]
fn a_busy_machine_may_cost_two_rows_and_not_three() {
    assert_eq!(judge(&table(&[])), Ok(()));
    assert_eq!(judge(&table(&[busy(), busy()])), Ok(()));
    let refused = judge(&table(&[busy(), busy(), busy()])).unwrap_err();
    assert!(refused.contains("row 0, row 1, row 2"), "{refused}");
}

#[test]
fn a_missing_program_costs_nothing_unless_nothing_ran() {
    let missing = End::Missing("no iperf3 3.21".to_owned());
    assert_eq!(judge(&table(&vec![missing.clone(); 18])), Ok(()));
    assert!(judge(&table(&vec![missing; 19])).is_err());
    assert!(judge(&[]).is_err());
}

#[test]
fn one_row_that_missed_or_failed_keeps_the_gate_shut() {
    assert_eq!(judge(&table(&[End::Missed])).unwrap_err(), "missed twice: row 0");
    let failed = End::Failed("ended as quota_exceeded".to_owned());
    assert_eq!(judge(&table(&[failed])).unwrap_err(), "failed twice: row 0");
}

#[test]
fn the_last_line_names_what_did_not_run_and_why() {
    let rows = table(&[busy(), End::Missed, End::Missing("no iperf3 3.21".to_owned())]);
    assert_eq!(
        summary(&rows),
        "16 of 19 rows keep their targets; 1 missed: row 1; 2 not run: row 0 (others (41 %)), row 2 (no iperf3 3.21)"
    );
    assert_eq!(summary(&table(&[])), "19 of 19 rows keep their targets");
}

/// The ratio of rates in a row of the saved table.
fn rate(case: &str, peer: &str) -> Option<f64> {
    let saved: Value = serde_json::from_str(SAVED).unwrap();
    let rows = saved["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["case"] == case && row["peer"] == peer)?;
    let results = row["results"].as_array().unwrap();
    results.iter().find(|result| result["quantity"] == "rate")?["ratio"].as_f64()
}

/// E16: what the list of features says of us beside iperf3 is what the saved run measured.
#[test]
fn the_saved_run_is_as_fast_beside_iperf3_as_the_features_say() {
    let is_claimed = FEATURES.lines().any(|line| line.starts_with("E16 "));
    for (streams, least) in [("TCP 1 stream", 1.9), ("TCP 4 streams", 4.5)] {
        let ratio = rate(streams, "iperf3 3.12");
        assert!(
            !is_claimed || ratio >= Some(least),
            "{streams}: {ratio:?} times iperf3 3.12, {least} is claimed"
        );
    }
}

#[test]
fn a_target_that_the_saved_table_misses_is_held_to_what_it_reached() {
    const TABLE: &str = r#"{"rows": [{"case": "tunnel", "peer": "other", "results":
        [{"quantity": "rate", "ratio": 1.2}, {"quantity": "CPU", "ratio": 0.8}]}]}"#;
    let row = ["tunnel", "other"];
    let (rate, cpu) = (Bound::Least(1.6), Bound::Most(0.6));
    let slack = Floor::new(0.5, TABLE).unwrap();
    for (value, is_missed) in [(0.61, false), (0.59, true)] {
        assert_eq!(slack.is_missed(row, "rate", rate, value), is_missed);
    }
    for (value, is_missed) in [(1.59, false), (1.61, true)] {
        assert_eq!(slack.is_missed(row, "CPU", cpu, value), is_missed);
    }
    // One that it keeps, or does not know, is held to its target.
    assert!(!slack.is_missed(row, "rate", Bound::Least(1.0), 0.51));
    assert!(slack.is_missed(row, "rate", Bound::Least(1.0), 0.49));
    assert!(slack.is_missed(["echo", "other"], "rate", rate, 0.79));
    // Without slack nothing is forgiven.
    assert!(Floor::new(0.0, TABLE).unwrap().is_missed(row, "rate", rate, 1.59));
}
