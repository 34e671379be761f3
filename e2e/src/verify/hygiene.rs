//! Nothing in the tree works on one machine only: no paths of somebody's machine, no private registries. And scripts
//! stop at their first error.

use std::fmt;

use anyhow::{Result, bail};

use super::job::{Job, Outcome};
use super::sources::{self, Source};

/// Top folders that exist on somebody's machine and mean nothing elsewhere. Split, so that this file is clean itself.
const MACHINES: [&str; 4] =
    [concat!("/wo", "rk"), concat!("/ro", "ot"), concat!("/Us", "ers"), concat!("/ho", "me")];
/// Where packages come from is the user's choice, made outside the tree.
const REGISTRIES: [&str; 8] = [
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("crates.io", "-index"),
    concat!("proxy.", "golang.org"),
    concat!("registry.", "npmjs.org"),
    concat!("files.", "pythonhosted.org"),
    concat!("replace", "-with"),
    concat!("[regis", "tries"),
];
/// Cargo writes its registry's address into every lock file.
const LOCK: &str = "Cargo.lock";
/// A script without it goes on after an error.
const STRICT: &str = "set -euo pipefail";

#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Reads every text file of the tree.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    let sources = sources::read(&job.place.root)?;
    let findings: Vec<String> = sources
        .iter()
        .flat_map(|source| look(source).into_iter().map(|finding| finding.to_string()))
        .collect();
    if !findings.is_empty() {
        bail!("{}", findings.join("\n"));
    }
    Ok(Outcome::Passed(format!("{} files", sources.len())))
}

fn look(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found =
        |line: usize, what: String| findings.push(Finding { path: source.path.clone(), line, what });
    let lock = source.path.rsplit('/').next() == Some(LOCK);
    for (index, line) in source.text.lines().enumerate() {
        for folder in MACHINES.iter().filter(|folder| names_folder(line, folder)) {
            found(
                index + 1,
                format!("names {folder}, a folder of one machine; write ~, a relative path or a temp dir"),
            );
        }
        for host in REGISTRIES.iter().filter(|host| !lock && line.contains(**host)) {
            found(
                index + 1,
                format!("names the registry {host}; where packages come from is set outside the tree"),
            );
        }
    }
    if is_script(source) {
        if !source.text.lines().any(|line| line.trim() == STRICT) {
            found(1, format!("a bash script without `{STRICT}`"));
        }
        if !source.executable {
            found(1, "a script that is not executable; chmod +x it".to_owned());
        }
    }
    findings
}

fn is_script(source: &Source) -> bool {
    source.text.lines().next().is_some_and(|line| line.starts_with("#!") && line.trim_end().ends_with("bash"))
}

/// Whether the line has `folder` as the first component of an absolute path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + folder.len()..).and_then(|text| text.chars().next());
        let inside =
            |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '$' | '}' | ')' | '*' | '/');
        let longer = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        // A line of passwd(5) is about any machine.
        let passwd = before == Some(':') && after == Some(':');
        !passwd && !before.is_some_and(inside) && !after.is_some_and(longer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into(), executable: true }
    }

    #[test]
    fn a_machines_folder_is_found_wherever_it_stands() {
        let folder = MACHINES[0];
        for line in [format!("cd {folder}/x"), format!("\"{folder}\""), format!("PATH=a:{folder}/bin")] {
            let findings = look(&file("a.md", &format!("fine\n{line}")));
            assert_eq!(findings.len(), 1, "{line}");
            assert_eq!(findings[0].line, 2);
        }
    }

    #[test]
    fn words_that_only_look_like_it_are_fine() {
        let folder = MACHINES[0];
        for line in [
            format!("{folder}space"),
            format!("e2e{folder}/x"),
            format!("$DIR{folder}"),
            format!("x:0::{folder}:/bin/sh"),
        ] {
            assert!(look(&file("a.md", &line)).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_registry_is_found_except_in_a_lock_file() {
        let line = format!("source = \"https://{}/x\"", REGISTRIES[1]);
        assert_eq!(look(&file(".cargo/config.toml", &line)).len(), 1);
        assert!(look(&file("fuzz/Cargo.lock", &line)).is_empty());
    }

    #[test]
    fn a_script_must_be_strict_and_executable() {
        let good = file(".ci/run", "#!/usr/bin/env bash\n# why\nset -euo pipefail\n");
        assert!(look(&good).is_empty());
        assert_eq!(look(&file("x.sh", "#!/bin/bash\necho\n")).len(), 1);
        assert_eq!(look(&Source { executable: false, ..good }).len(), 1);
    }
}
