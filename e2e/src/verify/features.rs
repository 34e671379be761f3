//! `docs/features.md`: what works, row by row, each with its proof; this checks that the proofs exist.
//!
//! A table row is `id | what | proof`. The proof holds one or more names in backticks: a test, as many trailing parts
//! of `target::module::test` as make it unique, or a command of ours (`cargo demo`, `cargo verify --only fuzz`). The
//! test carries the id in its doc comment or its name, so that neither side can drift.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

use super::job::{Job, Outcome};
use super::steps::STEPS;
use super::{marks, sources, tests_list};

const FILE: &str = "docs/features.md";
/// Commands that prove something by their exit code. `cargo verify --only STEP` is one for each step.
const COMMANDS: [&str; 4] = ["cargo verify", "cargo verify --long", "cargo demo", "cargo demo --standalone"];

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    line: usize,
    id: String,
    proofs: Vec<String>,
}

/// What proofs are looked up in.
struct Known {
    /// `target::module::test`
    tests: Vec<String>,
    /// Row ids by function name.
    marks: BTreeMap<String, BTreeSet<String>>,
}

/// Checks the file against the tests that exist.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    let text = std::fs::read_to_string(job.place.root.join(FILE)).with_context(|| format!("read {FILE}"))?;
    let sources = sources::read(&job.place.root)?;
    let known = Known { tests: tests_list::all(job)?, marks: marks::collect(&sources) };
    let (rows, mut wrong) = rows(&text);
    wrong.extend(check(&rows, &known));
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let proofs: usize = rows.iter().map(|row| row.proofs.len()).sum();
    Ok(Outcome::Passed(format!("{} rows, {proofs} proofs", rows.len())))
}

/// The rows of every table in the file, and what is wrong with their form.
fn rows(text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut wrong, mut inside) = (Vec::new(), Vec::new(), false);
    for (index, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["id", "what", "proof"] => inside = true,
            [""] => inside = false,
            _ if !inside => {}
            [dashes, ..] if dashes.starts_with('-') || dashes.starts_with(':') => {}
            [id, what, proof] if marks::is_id(id) && !what.is_empty() => {
                rows.push(Row { line: index + 1, id: (*id).to_owned(), proofs: quoted(proof) });
            }
            _ => {
                wrong.push(format!("{FILE}:{}: a row is `id | what | proof`, as in `I2 | … | …`", index + 1));
            }
        }
    }
    if rows.is_empty() {
        wrong.push(format!("{FILE}: no table with the head `id | what | proof`"));
    }
    (rows, wrong)
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn check(rows: &[Row], known: &Known) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let mut say = |what: String| wrong.push(format!("{FILE}:{}: {} {what}", row.line, row.id));
        if let Some(first) = seen.insert(&row.id, row.line) {
            say(format!("stands in line {first} already; put both proofs there"));
        }
        if row.proofs.is_empty() {
            say("names no proof; put a test or a command in backticks".to_owned());
        }
        for proof in &row.proofs {
            if let Err(what) = if is_command(proof) { command(proof) } else { test(proof, &row.id, known) } {
                say(what);
            }
        }
    }
    wrong
}

fn is_command(proof: &str) -> bool {
    proof.contains(' ')
}

fn command(proof: &str) -> Result<(), String> {
    let step = proof.strip_prefix("cargo verify --only ");
    if COMMANDS.contains(&proof) || step.is_some_and(|name| STEPS.iter().any(|step| step.name == name)) {
        return Ok(());
    }
    Err(format!(
        "names `{proof}`, which is no command of ours: {}, cargo verify --only STEP",
        COMMANDS.join(", ")
    ))
}

fn test(proof: &str, id: &str, known: &Known) -> Result<(), String> {
    let matching: Vec<&String> = known.tests.iter().filter(|test| ends_with_path(test, proof)).collect();
    match matching.as_slice() {
        [] => Err(format!("names `{proof}`, but there is no such test")),
        [test] => {
            let name = test.rsplit("::").next().unwrap_or(test);
            let marked = known.marks.get(name).is_some_and(|ids| ids.contains(id));
            if marked || marks::named_after(test, id) {
                return Ok(());
            }
            Err(format!(
                "names `{proof}`, whose doc comment does not carry {id}; write `/// {id}` above the test"
            ))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|test| test.as_str()).collect();
            Err(format!("names `{proof}`, which could be {}; add a module in front", names.join(" or ")))
        }
    }
}

/// Whether `path` is `full` or its last parts.
fn ends_with_path(full: &str, path: &str) -> bool {
    full.strip_suffix(path).is_some_and(|front| front.is_empty() || front.ends_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let tests = ["crds::id::vectors", "crds::id::label", "link::id::label", "link::p4_alpn"];
        let mark = |name: &str, id: &str| (name.to_owned(), BTreeSet::from([id.to_owned()]));
        Known {
            tests: tests.map(str::to_owned).to_vec(),
            marks: [mark("vectors", "I2"), mark("label", "I9")].into(),
        }
    }

    /// The complaints about one row of a table.
    fn complaints(row: &str) -> String {
        let (rows, mut wrong) =
            rows(&format!("# x\n\nid | what | proof\n-|-|-\n{row}\n\nlater | text | here\n"));
        wrong.extend(check(&rows, &known()));
        wrong.join("\n")
    }

    #[test]
    fn a_row_with_an_existing_marked_test_is_fine() {
        assert_eq!(complaints("I2 | reads | `vectors`"), "");
        assert_eq!(complaints("| I2 | reads | `id::vectors` and `cargo demo` |"), "");
        assert_eq!(complaints("P4 | alpn | `p4_alpn`, `cargo verify --only fuzz`"), "");
    }

    #[test]
    fn a_renamed_test_is_noticed() {
        assert!(
            complaints("I2 | reads | `vector`")
                .contains("features.md:5: I2 names `vector`, but there is no such")
        );
        assert!(complaints("I2 | reads | `ectors`").contains("no such test"));
    }

    #[test]
    fn a_test_that_proves_another_row_is_refused() {
        assert!(complaints("I3 | reads | `vectors`").contains("does not carry I3"));
    }

    #[test]
    fn a_name_that_fits_two_tests_is_refused() {
        assert!(complaints("I9 | label | `label`").contains("crds::id::label or link::id::label"));
        assert_eq!(complaints("I9 | label | `crds::id::label`"), "");
    }

    #[test]
    fn a_command_must_be_ours_and_its_step_must_exist() {
        assert!(complaints("I2 | x | `make test`").contains("no command of ours"));
        assert!(complaints("I2 | x | `cargo verify --only nothing`").contains("no command of ours"));
    }

    #[test]
    fn ids_are_unique_and_every_row_has_a_proof() {
        assert!(complaints("I2 | a | `vectors`\nI2 | b | `vectors`").contains("line 5 already"));
        assert!(complaints("I2 | a | trust me").contains("names no proof"));
    }

    #[test]
    fn a_malformed_row_or_a_file_without_a_table_is_refused() {
        assert!(complaints("I2 | only two").contains("a row is"));
        assert!(complaints("Ident | x | `vectors`").contains("a row is"));
        assert!(rows("nothing here").1.concat().contains("no table"));
    }
}
