//! Tables that are written from the code: metrics from the registry, exit codes from the help texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use clap::{Command, CommandFactory};
use reflector::cli::{Cli, Exit};
use reflector::metrics::{Metrics, PeerUsage, PerPeer};

use super::{EXIT_CODES, METRICS, names};

const UPDATE: &str = "UPDATE_GOLDEN=1 cargo test -p reflector --test docs";
const BEGIN: &str = "<!-- written by a test: UPDATE_GOLDEN=1 cargo test -p reflector --test docs -->\n";
const END: &str = "<!-- end -->\n";

/// Compares what stands between the marks of a page with what the code says, or writes it there.
#[expect(clippy::disallowed_methods, reason = "asks whether the page is to be written anew")]
fn compare(file: &str, page: &str, table: &str) {
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(file);
        std::fs::write(path, fresh).unwrap();
        return;
    }
    assert!(page == fresh, "docs/reference/{file} is stale; run: {UPDATE}\n\n{table}");
}

/// Red when a metric, its type, its help or a label changes.
#[test]
fn the_metrics_page_is_up_to_date() {
    let metrics = Metrics::new(PerPeer::Shown);
    metrics.peers(vec![PeerUsage {
        name: "attic".into(),
        bytes_today: 1,
        tests_today: 1,
        bytes_remaining: Some(1),
    }]);
    let text = metrics.render().unwrap();
    let mut table = "| Name | Type | Labels | Meaning |\n|---|---|---|---|\n".to_owned();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (name, kind) in kinds.collect::<BTreeMap<_, _>>() {
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} "))).unwrap();
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {help} |", labels(&text, name));
    }
    compare("metrics.md", METRICS, &table);
}

/// The labels of a metric and their values; long lists of reasons stand on their own page.
fn labels(text: &str, name: &str) -> String {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let series = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once('}'));
    for (key, value) in
        series.flat_map(|(labels, _)| labels.split(',')).filter_map(|pair| pair.split_once('='))
    {
        found.entry(key).or_default().insert(value.trim_matches('"'));
    }
    let said = found.into_iter().map(|(key, values)| match key {
        "reason" | "end_reason" => format!("[`{key}`](reasons.md)"),
        "peer" => format!("`{key}`: name of the peer's object, or `other`"),
        "version" | "build_hash" => format!("`{key}`"),
        _ => {
            let values: Vec<String> = values.into_iter().map(|value| format!("`{value}`")).collect();
            format!("`{key}`: {}", values.join(", "))
        }
    });
    said.collect::<Vec<_>>().join("; ")
}

/// Red when a command's help names another exit code, or says another thing about it.
#[test]
fn the_exit_codes_page_is_up_to_date() {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut table = "| Command | 0 | 1 | 2 | 3 |\n|---|---|---|---|---|\n".to_owned();
    commands(&root, &mut |command| {
        let codes = codes(command);
        let cell = |code| codes.get(&code).map_or("–", |meaning| meaning.as_str());
        let name = command.get_bin_name().unwrap().trim_start_matches("reflector ");
        let _ = writeln!(table, "| `{name}` | {} | {} | {} | {} |", cell(0), cell(1), cell(2), cell(3));
    });
    compare("exit-codes.md", EXIT_CODES, &table);
}

/// Every command that does something.
fn commands(command: &Command, found: &mut dyn FnMut(&Command)) {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        if command.has_subcommands() { commands(command, found) } else { found(command) }
    }
}

/// The exit codes that a command's help names.
fn codes(command: &Command) -> BTreeMap<u8, String> {
    let help = command.get_after_long_help().unwrap().to_string();
    let list = help.split("Exit codes:\n").nth(1).unwrap();
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    lines
        .map(|line| line.trim().split_once(' ').unwrap())
        .map(|(code, text)| (code.parse().unwrap(), text.trim().to_owned()))
        .collect()
}

/// Red when the program can end in a way that the page or the help does not list.
#[test]
fn every_exit_code_is_explained() {
    let known = Exit::ALL.map(|exit| (exit as u8).to_string());
    assert_eq!(names(EXIT_CODES.split("\n## ").next().unwrap()), known);
    let root = Cli::command();
    assert_eq!(codes(&root).into_keys().map(|code| code.to_string()).collect::<Vec<_>>(), known);
}
