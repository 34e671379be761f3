//! Every kind of test: what it prints is what the published schema allows, and each session measures all of it.

use serde_json::Value;

use super::person::{BUSY, Person, phase};

/// C2: one JSON for each way of testing; [`Person::json`] holds it against the schema.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_test_prints_what_the_published_schema_allows() {
    let person = Person::paired(BUSY).await;
    for (args, names) in [
        (&["-t", "3", "--down", "-P", "1"][..], &["down"][..]),
        (&["-t", "1", "--bidir"], &["bidir-down", "bidir-up"]),
        (&["-t", "1", "--udp", "2M", "--bidir"], &["bidir-down", "bidir-up"]),
        (&["-t", "1", "--tunnel", "--up"], &["up"]),
        (&["-t", "1", "--tunnel", "--udp", "2M", "--down"], &["down"]),
    ] {
        let result = person.json(args, 0);
        let phases = result["phases"].as_array().unwrap();
        let found: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{args:?}");
        let udp = args.contains(&"--udp");
        assert!(phases.iter().all(|phase| phase.get("udp").is_some() == udp), "{args:?}: {result}");
        let tunneled = if args.contains(&"--tunnel") { "tunneled" } else { "direct" };
        assert!(phases.iter().all(|phase| phase["mode"] == tunneled), "{args:?}");
    }
}

/// X8
#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_prints_the_tax_of_the_tunnel_over_two_pairs() {
    let person = Person::paired(BUSY).await;
    let result = person.json(&["-t", "1", "--compare"], 0);
    let modes: Vec<&Value> =
        result["phases"].as_array().unwrap().iter().map(|phase| &phase["mode"]).collect();
    assert_eq!(modes, ["direct", "tunneled", "direct", "tunneled"]);
    let tax = &result["tunnel_tax"];
    assert_eq!(tax["pairs"], 2);
    let mean = |mode: &str| {
        let rates = result["phases"].as_array().unwrap().iter().filter(|phase| phase["mode"] == mode);
        let rates: Vec<f64> = rates.map(|phase| phase["mbps"].as_f64().unwrap()).collect();
        rates.iter().sum::<f64>() / 2.0
    };
    let ratio = mean("tunneled") / mean("direct");
    assert!((tax["rate_ratio"].as_f64().unwrap() / ratio - 1.0).abs() < 0.01, "{tax}, computed {ratio}");
}

/// X7: what a person needs to know of a path is in one session, which is granted and charged as one.
#[tokio::test(flavor = "multi_thread")]
async fn one_session_measures_rate_load_latency_loss_by_direction_and_responsiveness() {
    let person = Person::paired(BUSY).await;
    let result = person.json(&["-t", "1", "--down", "-P", "2"], 0);
    let down = phase(&result, "down");
    for key in ["echo_idle", "echo_loaded"] {
        let of = |field: &str| down[key][field].as_u64().unwrap_or_else(|| panic!("{field}: {}", down[key]));
        assert!(of("lost_up") + of("lost_down") + of("limited") + of("n") <= of("sent"), "{}", down[key]);
    }
    // Again, from what the result holds of its parts.
    let rtts: Vec<f64> =
        down["streams"].as_array().unwrap().iter().map(|stream| stream["rtt_us"].as_f64().unwrap()).collect();
    let tcp = rtts.iter().sum::<f64>() / 2.0;
    let echo = down["echo_loaded"]["trimmed_mean_us"].as_f64().unwrap();
    let expected = 60_000_000.0 / f64::midpoint(tcp, echo);
    let found = result["responsiveness"]["per_minute"].as_f64().unwrap();
    assert!((found / expected - 1.0).abs() < 0.001, "{found}, computed {expected}");
    let granted = person.bed.audit().into_iter().filter(|line| line["event_type"] == "session_granted");
    assert_eq!(granted.filter(|line| line["test_id"] == down["test_id"]).count(), 1);
    assert_eq!(result["usage"]["tests"], 1);
}
