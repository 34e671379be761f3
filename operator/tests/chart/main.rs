//! The chart says what the program says: its flags, its values and their descriptions, its version, its metrics.
//!
//! What helm and an API server make of it is told in the scenarios of `e2e`.

#![expect(clippy::unwrap_used, reason = "what cannot be read here fails the test that reads it")]

mod monitoring;
mod values;

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use operator::cli::Cli;

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/reflector-operator")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(chart().join(path)).unwrap()
}

fn yaml(path: &str) -> serde_json::Value {
    serde_yaml::from_str(&text(path)).unwrap()
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart = yaml("Chart.yaml");
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_flag_in_the_deployment_is_one_of_the_programs() {
    let command = Cli::command();
    let known: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let deployment = text("templates/operator/deployment.yaml");
    let given = deployment.lines().filter_map(|line| line.trim().strip_prefix("- --"));
    let given: Vec<&str> = given.map(|flag| flag.split('=').next().unwrap_or(flag)).collect();
    for flag in &given {
        assert!(known.contains(flag), "the program has no --{flag}");
    }
    // The role has one name in every cluster, and the Lease is where the operator is.
    let left = ["endpoint-role", "instance", "lease-namespace"];
    for flag in known.iter().filter(|flag| !left.contains(flag)) {
        assert!(given.contains(flag), "nothing in the chart gives --{flag}");
    }
}

#[test]
fn what_the_chart_gives_is_what_the_program_would_take_by_itself() {
    let command = Cli::command();
    let default = |flag: &str| {
        let argument = command.get_arguments().find(|one| one.get_long() == Some(flag)).unwrap();
        argument.get_default_values()[0].to_str().unwrap().to_owned()
    };
    let port = default("admin-addr").rsplit(':').next().unwrap().to_owned();
    let deployment = text("templates/operator/deployment.yaml");
    assert!(deployment.contains(&format!("- --admin-addr=[::]:{port}\n")), "{port}");
    assert!(deployment.contains(&format!("name: admin, containerPort: {port},")), "{port}");
    assert_eq!(yaml("values.yaml")["reflector"]["image"]["repository"], default("reflector-image"));
    let role = format!("  name: {}\n", default("endpoint-role"));
    assert!(text("templates/access/endpoint.yaml").contains(&role), "{role}");
}
