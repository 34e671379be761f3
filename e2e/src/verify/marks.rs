//! Which test claims which row: the ids in a test's doc comment or name.
//!
//! Read from the text of the sources, so that a row cannot name a test that proves something else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::sources::Source;

/// The ids per function name, over all Rust files.
pub(super) fn collect(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let mut marks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| is_rust(&source.path)) {
        let mut pending = BTreeSet::new();
        for line in source.text.lines().map(str::trim) {
            if let Some(doc) = line.strip_prefix("///") {
                pending.extend(ids(doc));
            } else if let Some(name) = function(line) {
                marks.entry(name.to_owned()).or_default().append(&mut pending);
            } else if !line.starts_with("#[") && !line.starts_with("//") {
                pending.clear();
            }
        }
    }
    marks
}

/// Whether a test's name carries the id as a word: `i2_vectors_round_trip`.
pub(super) fn named_after(test: &str, id: &str) -> bool {
    test.rsplit("::").next().is_some_and(|name| name.split('_').any(|word| word.eq_ignore_ascii_case(id)))
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// The name of the function a line begins.
fn function(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub ").unwrap_or(line);
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let name = rest.strip_prefix("fn ")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn ids(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_id(word)).map(str::to_owned)
}

/// One or two capital letters and a number: `I2`, `MR10`.
pub(super) fn is_id(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = word.len() - digits.len();
    (1..=2).contains(&letters)
        && (1..=2).contains(&digits.len())
        && digits.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, name: &str) -> Vec<String> {
        let source = Source { path: "x.rs".into(), text: text.into(), executable: false };
        collect(&[source]).remove(name).unwrap_or_default().into_iter().collect()
    }

    #[test]
    fn ids_in_a_doc_comment_belong_to_the_test_below_it() {
        let text = "/// I2, P9: why\n/// and L3.\n#[test]\nfn a() {\n}\n#[tokio::test]\nasync fn b() {}\n";
        assert_eq!(of(text, "a"), ["I2", "L3", "P9"]);
        assert!(of(text, "b").is_empty());
    }

    #[test]
    fn a_comment_on_something_else_marks_no_test() {
        assert!(of("/// I2\nconst X: u8 = 1;\n\n#[test]\nfn a() {}\n", "a").is_empty());
    }

    #[test]
    fn a_name_can_carry_the_id_as_a_word() {
        assert!(named_after("crds::tests::i2_vectors", "I2"));
        assert!(!named_after("crds::tests::i22_vectors", "I2"));
        assert!(!named_after("crds::i2::vectors", "I2"));
    }

    #[test]
    fn ids_are_one_or_two_capitals_and_a_number() {
        for id in ["I2", "MR10", "X1"] {
            assert!(is_id(id), "{id}");
        }
        for word in ["i2", "TLS", "SHA256", "2", "I", "", "I2b", "É2"] {
            assert!(!is_id(word), "{word}");
        }
    }
}
