//! `unsafe` only in the one folder of system calls, little of it, and each place says what it relies on.
//!
//! In: the text of the tree. Out: what is wrong, with file and line. The compiler's lints say much of this too, but a
//! lint is lifted in one line of any file; this is the list of who may.

mod code;

use std::path::Path;

use anyhow::{Result, bail};

use super::job::{Job, Outcome};
use super::sources::{self, Source};

use self::code::Line;

/// The only place.
const FOLDER: &str = "reflector/src/engine/sys/";
/// Lines of code in it, tests and comments apart: what one person can check in one sitting.
const MOST_LINES: usize = 400;

/// Reads every Rust file of the tree.
pub(super) fn run(job: &Job) -> Result<Outcome> {
    let sources = sources::read(&job.place.root)?;
    let (lines, findings) = check(&sources);
    if !findings.is_empty() {
        bail!("{}", findings.join("\n"));
    }
    Ok(Outcome::Passed(format!("{lines} of at most {MOST_LINES} lines of code in {FOLDER}")))
}

/// How many lines of code the folder has, and what is wrong.
fn check(sources: &[Source]) -> (usize, Vec<String>) {
    let (mut total, mut findings) = (0, Vec::new());
    for source in sources.iter().filter(|source| is_rust(&source.path)) {
        let lines = code::lines(&source.text);
        let inside = source.path.starts_with(FOLDER);
        if inside {
            total += shipped(&source.path, &lines);
        }
        for (index, line) in lines.iter().enumerate() {
            let lifts = line.has("unsafe_code") && !line.has("forbid");
            let what = match (inside, line.has("unsafe"), lifts) {
                (false, true, _) => {
                    format!("unsafe code outside {FOLDER}; use a safe crate, or wrap the call there")
                }
                (false, _, true) => format!("lifts the ban on unsafe code, which only {FOLDER} may"),
                (true, true, _) if !is_argued(&lines, index) => {
                    "unsafe without a `// SAFETY:` comment right above; say what it relies on".to_owned()
                }
                _ => continue,
            };
            findings.push(format!("{}:{}: {what}", source.path, index + 1));
        }
    }
    if total == 0 {
        findings.push(format!("{FOLDER} holds no code; if it has moved, name its place in this step"));
    }
    if total > MOST_LINES {
        findings.push(format!(
            "{FOLDER} has {total} lines of code, {MOST_LINES} at most: move out what is safe, or use a crate that wraps it"
        ));
    }
    (total, findings)
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// Lines of code that are shipped: tests stand at the bottom of a file or in one of their own.
fn shipped(path: &str, lines: &[Line]) -> usize {
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return 0;
    }
    let tests = lines.iter().position(|line| line.code.trim() == "#[cfg(test)]").unwrap_or(lines.len());
    lines.iter().take(tests).filter(|line| line.is_code()).count()
}

/// Whether the comment above the statement or item that `at` is part of gives the reason.
fn is_argued(lines: &[Line], at: usize) -> bool {
    let argues = |line: &Line| line.comment.contains("SAFETY:") || line.comment.contains("# Safety");
    let above = lines.get(..at).unwrap_or_default().iter().rev();
    let mut in_comment = false;
    for line in above {
        if argues(line) {
            return true;
        }
        let attribute = line.code.trim_start().starts_with("#[");
        let unfinished = !line.code.trim_end().ends_with([';', '{', '}', ',']);
        match (line.is_comment(), line.is_code() && (attribute || unfinished)) {
            (true, _) => in_comment = true,
            // The same statement, broken over lines; above its comment another one begins.
            (false, true) if !in_comment => {}
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into(), executable: false }
    }

    fn inside(text: &str) -> Source {
        file("reflector/src/engine/sys/thread.rs", text)
    }

    fn findings(sources: &[Source]) -> String {
        check(sources).1.join("\n")
    }

    const GOOD: &str = "// SAFETY: open while borrowed.\nlet x = unsafe { f() };\n";

    #[test]
    fn unsafe_code_is_found_everywhere_but_in_its_folder() {
        assert_eq!(findings(&[inside(GOOD)]), "");
        for place in ["reflector/src/link/frame.rs", "e2e/src/proc.rs", "fuzz/src/lib.rs", "crds/build.rs"] {
            let found = findings(&[inside(GOOD), file(place, GOOD)]);
            assert!(found.starts_with(&format!("{place}:2: unsafe code outside")), "{found}");
        }
        assert_eq!(
            findings(&[inside(GOOD), file("docs/x.md", GOOD), file("a.rs", "// unsafe\n\"unsafe\"")]),
            ""
        );
    }

    #[test]
    fn nobody_else_lifts_the_ban() {
        let found = findings(&[inside(GOOD), file("a.rs", "#![allow(unsafe_code, reason = \"x\")]")]);
        assert!(found.starts_with("a.rs:1: lifts the ban"), "{found}");
        assert_eq!(findings(&[inside(GOOD), file("a.rs", "#![forbid(unsafe_code)]")]), "");
        assert_eq!(findings(&[inside(&format!("#![expect(unsafe_code, reason = \"x\")]\n{GOOD}"))]), "");
    }

    #[test]
    fn each_place_says_what_it_relies_on() {
        for text in [
            "fn f() {\n    unsafe { g() }\n}",
            "// SAFETY: of the first.\nlet a = unsafe { g() };\nlet b = unsafe { g() };",
            "// SAFETY: far away.\n\nlet a = unsafe { g() };",
            "// it is fine\nunsafe impl Send for A {}",
            "match x {\n    // SAFETY: of one arm.\n    1 => unsafe { g() },\n    _ => unsafe { h() },\n}",
        ] {
            let found = findings(&[inside(text)]);
            assert_eq!(found.matches("without a `// SAFETY:`").count(), 1, "{text}\n{found}");
        }
    }

    #[test]
    fn the_reason_may_stand_above_the_whole_statement() {
        for text in [
            "// SAFETY: yes,\n// it is.\nlet a =\n    f(unsafe { g() });",
            "#[cfg(x)]\n// SAFETY: no pointer.\nunsafe {\n    g();\n}",
            "// SAFETY: plain.\n#[inline]\nlet a = unsafe { g() };",
            "/// # Safety\n/// `x` is valid.\nunsafe fn f(x: *const u8) {}",
        ] {
            assert_eq!(findings(&[inside(text)]), "", "{text}");
        }
    }

    #[test]
    fn lines_are_counted_without_comments_and_tests() {
        let text = "//! doc\n\nfn a() {} // b\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(check(&[inside(text), file("reflector/src/engine/sys/tests.rs", "fn t() {}")]).0, 1);
        let full = "f();\n".repeat(MOST_LINES);
        assert_eq!(findings(&[inside(&full)]), "");
        let found = findings(&[inside(&full), file("reflector/src/engine/sys/b/c.rs", "f();")]);
        assert!(found.contains("401 lines of code, 400 at most"), "{found}");
    }

    #[test]
    fn a_folder_that_moved_is_noticed() {
        assert!(findings(&[file("a.rs", "fn a() {}")]).contains("holds no code"));
    }
}
