//! The alerts, judged by Prometheus' own program: each fires, and stays quiet.

use std::path::Path;
use std::process::Command;

use e2e::skipping::skip_test;

#[test]
fn every_alert_fires_when_it_should_and_stays_quiet_when_it_should_not() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/chart/alerts.yaml");
    let Ok(output) = Command::new("promtool").args(["test", "rules"]).arg(&cases).output() else {
        return skip_test("promtool (Debian package prometheus)");
    };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let cases = std::fs::read_to_string(cases).unwrap();
    let rules = std::fs::read_to_string(super::folder().join("files/alerts.yaml")).unwrap();
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let asked = cases.lines().filter(|line| line.contains(&format!("alertname: {alert},"))).count();
        assert!(asked >= 2, "{alert} has {asked} cases: give it one in which it fires and one in which not");
    }
}
