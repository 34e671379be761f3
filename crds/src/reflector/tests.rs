//! What a Reflector means once it is read.

use std::time::Duration;

use serde_json::json;

use crate::quotas::ValidQuotas;

use super::*;

fn valid(spec: &serde_json::Value) -> ValidReflector {
    let object = json!({ "metadata": { "name": "attic" }, "spec": spec });
    validate(&read(object).unwrap()).unwrap()
}

#[test]
fn an_empty_spec_means_the_documented_defaults() {
    assert_eq!(
        valid(&json!({})),
        ValidReflector {
            network: ValidNetwork {
                mode: NetworkMode::Auto,
                port: 4000,
                data_ports: None,
                plain_on_control_port: true,
                health_port: 7301,
                host_network: true,
                advertise: vec![],
            },
            rotation: 0,
            retain: true,
            approval: Approval::Automatic,
            offline_grace: Duration::from_secs(86_400),
            quotas: ValidQuotas::default(),
            windows: vec![],
            suspended: false,
            self_test: None,
            on_audit_failure: OnFailure::Continue,
        }
    );
}

#[test]
fn every_field_reaches_the_valid_reflector() {
    let read = valid(&json!({
        "network": {
            "mode": "Direct", "port": 4001, "dataPorts": { "start": 5201, "end": 5209 }, "plainOnControlPort": false,
            "healthPort": 7302, "hostNetwork": false, "advertise": ["a.example.net"],
        },
        "identity": { "rotation": 2, "retain": false },
        "access": { "approval": "Manual", "offlineGrace": "13h" },
        "quotas": { "maxStreams": 9 },
        "windows": [{ "schedule": "0 22 * * *", "duration": "8h", "timeZone": "Europe/Paris", "effect": "Allow" }],
        "suspend": true,
        "selfTest": { "schedule": "0 4 * * 0" },
        "audit": { "onFailure": "Deny" },
    }));
    let expected = ValidReflector {
        network: ValidNetwork {
            mode: NetworkMode::Direct,
            port: 4001,
            data_ports: Some(5201..=5209),
            plain_on_control_port: false,
            health_port: 7302,
            host_network: false,
            advertise: vec!["a.example.net".into()],
        },
        rotation: 2,
        retain: false,
        approval: Approval::Manual,
        offline_grace: Duration::from_secs(13 * 3600),
        quotas: ValidQuotas { max_streams: Some(9), ..ValidQuotas::default() },
        windows: vec![ValidWindow {
            schedule: "0 22 * * *".into(),
            duration: Duration::from_secs(8 * 3600),
            time_zone: "Europe/Paris".into(),
            effect: WindowEffect::Allow,
        }],
        suspended: true,
        self_test: Some("0 4 * * 0".into()),
        on_audit_failure: OnFailure::Deny,
    };
    assert_eq!(read, expected);
}

#[test]
fn an_unknown_name_survives_reading_and_is_refused_by_validation() {
    let object = json!({ "metadata": { "name": "attic" }, "spec": { "audit": { "onFailure": "Shout" } } });
    let read = read(object).unwrap();
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written["spec"]["audit"]["onFailure"], "Shout");
    assert_eq!(validate(&read).unwrap_err()[0].path, "spec.audit.onFailure");
}

#[test]
fn all_problems_of_an_object_are_told_at_once() {
    let object = json!({ "metadata": { "name": "at.tic" }, "spec": {
        "network": { "port": 6443, "dataPorts": { "start": 7, "end": 6 } }, "quotas": { "maxStreams": 0 },
    } });
    let problems = validate(&read(object).unwrap()).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(
        paths,
        ["metadata.name", "spec.network.port", "spec.network.dataPorts", "spec.quotas.maxStreams"]
    );
}

#[test]
fn the_list_of_taken_ports_is_sorted_and_reads_well() {
    assert!(ports::TAKEN.windows(2).all(|pair| pair[0].ports.end() < pair[1].ports.start()));
    assert!(ports::listed().starts_with("1-1023, 2379-2382, 5001, 6443-6444, 8472, "));
    assert_eq!(ports::taken_by(&(8000..=9000)).map(|taken| taken.by), Some("flannel (VXLAN)"));
    assert_eq!(ports::taken_by(&(4000..=4000)), None);
}
