//! The audit page: its fields and types are those of the code, and its recipe finds a changed byte.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crds::EndpointId;
use reflector::audit::{Audit, Event, EventType, OnFailure, Settings, Target};
use reflector::metrics::{Metrics, PerPeer};
use serde_json::Value;

use super::{AUDIT, names, section};

/// A log with one event of each type.
async fn log(folder: &Path) -> String {
    let path = folder.join("audit.jsonl");
    let settings = Settings {
        target: Target::File(path.clone()),
        endpoint_id: EndpointId::from_public_key([1; 32]),
        on_failure: OnFailure::Continue,
        metrics: Metrics::new(PerPeer::Hidden),
    };
    let audit = Audit::open(settings).unwrap();
    for kind in EventType::ALL {
        audit.record(Event::new(kind)).await;
    }
    audit.flush().await;
    drop(audit);
    std::fs::read_to_string(path).unwrap()
}

/// L1. Red when a type is added or renamed without its row.
#[test]
fn every_event_type_has_its_row_and_no_row_is_without_type() {
    let known: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names(section(AUDIT, "## Events")), known);
}

/// L1. Red when a field is added, renamed or removed without its row.
#[tokio::test]
async fn every_field_has_its_row_and_no_row_is_without_field() {
    let folder = tempfile::tempdir().unwrap();
    let text = log(folder.path()).await;
    let mut known: BTreeSet<String> = ["lost", "suppressed"].map(str::to_owned).into();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        known.extend(value.as_object().unwrap().keys().cloned());
    }
    let listed: BTreeSet<String> =
        names(section(AUDIT, "## Fields")).into_iter().map(str::to_owned).collect();
    assert_eq!(listed, known);
}

/// Red when the format on disk changes and the recipe does not.
#[tokio::test]
async fn the_recipe_accepts_a_log_and_names_the_line_of_a_changed_byte() {
    let recipe = AUDIT.split("```bash\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = log(folder.path()).await;
    let run = || {
        let output = Command::new("bash").args(["-c", recipe]).current_dir(folder.path()).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert_eq!(run(), "9 lines, intact\n");
    let changed = text.replacen("session_denied", "session_denieD", 1);
    std::fs::write(folder.path().join("audit.jsonl"), changed).unwrap();
    assert_eq!(run(), "line 4 was changed, or one before it was\n");
}
