//! Alerts and the dashboard ask for metrics that there are.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::text;

fn source(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The metrics that an expression names.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("reflector_") || word.starts_with("process_"))
}

/// Without what Prometheus adds for a histogram.
fn base(metric: &str) -> &str {
    metric.strip_suffix("_bucket").unwrap_or(metric)
}

fn assert_known(expression: &str, of: &str) -> usize {
    let operators = source("src/metrics/families.rs");
    let reflectors = source("../reflector/src/metrics/names.txt");
    let mut seen = 0;
    for metric in metrics(expression).map(base) {
        let known = match metric.strip_prefix("reflector_operator_") {
            Some(name) => operators.contains(&format!("\"{name}\"")),
            None => reflectors.lines().any(|line| line.split(' ').next() == Some(metric)),
        };
        assert!(known, "{of} asks for {metric}, which nobody has");
        seen += 1;
    }
    seen
}

#[test]
fn every_panel_asks_for_metrics_that_there_are_and_says_what_it_shows() {
    let dashboard: Value = serde_json::from_str(&text("files/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut titles = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title), "two panels are called {title}");
        assert!(panel["description"].as_str().unwrap().ends_with('.'), "{title} says nothing");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title} is tied to one Grafana");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            assert!(assert_known(expression, title) > 0, "{title}: {expression}");
            assert!(!expression.contains("rate(") || expression.contains("[$__rate_interval]"), "{title}");
        }
    }
    assert!(titles.len() >= 10);
}

#[test]
fn every_alert_asks_for_metrics_that_there_are_and_has_its_section_in_the_docs() {
    let alerts: Value = serde_yaml::from_str(&text("files/alerts.yaml")).unwrap();
    let page = source("../docs/alerts.md");
    let mut names = BTreeSet::new();
    for group in alerts["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let name = rule["alert"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "two alerts are called {name}");
            assert!(assert_known(rule["expr"].as_str().unwrap(), name) > 0, "{name}");
            for words in ["summary", "description"] {
                assert!(
                    rule["annotations"][words].as_str().is_some_and(|text| text.ends_with('.')),
                    "{name}"
                );
            }
            let anchor = format!("docs/alerts.md#{}", name.to_lowercase());
            assert_eq!(rule["annotations"]["runbook"], anchor.as_str());
            assert!(page.contains(&format!("\n## {name}\n")), "docs/alerts.md has no section {name}");
        }
    }
    let sections: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(sections, names, "docs/alerts.md has sections of alerts that there are not");
}
