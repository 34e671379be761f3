//! `values.yaml` is the one place where values are described: README's table is made of it, and the schema knows the
//! same values.

use std::fmt::Write as _;

use serde_json::Value;

use super::{chart, text, yaml};

const BEGIN: &str = "<!-- written by a test: UPDATE_GOLDEN=1 cargo test -p operator --test chart -->\n";
const END: &str = "<!-- end -->\n";

/// A value: its path, and what the comment above it says.
struct Described {
    path: Vec<String>,
    words: String,
}

/// Every commented key. What is below one belongs to it.
fn described() -> Vec<Described> {
    let (mut all, mut words, mut path) = (Vec::<Described>::new(), String::new(), Vec::<String>::new());
    for line in text("values.yaml").lines() {
        let bare = line.trim_start();
        let depth = (line.len() - bare.len()) / 2;
        if let Some(comment) = bare.strip_prefix('#') {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(comment.trim());
        } else if let Some((key, _)) = bare.split_once(':') {
            path.truncate(depth);
            path.push(key.to_owned());
            let inside = all.iter().any(|one| path.len() > one.path.len() && path.starts_with(&one.path));
            assert!(!inside || words.is_empty(), "{key} is a part of a value that is described as a whole");
            if !words.is_empty() {
                all.push(Described { path: path.clone(), words: std::mem::take(&mut words) });
            }
        } else {
            words.clear();
        }
    }
    all
}

/// The paths of whatever is no table of values itself.
fn leaves(node: &Value, path: &[String], into: &mut Vec<Vec<String>>) {
    match node.get("properties").and_then(Value::as_object) {
        Some(properties) => {
            assert_eq!(node["additionalProperties"], false, "{path:?} takes misspelt values");
            for (key, below) in properties {
                leaves(below, &[path, std::slice::from_ref(key)].concat(), into);
            }
        }
        None => into.push(path.to_vec()),
    }
}

#[test]
fn every_value_is_described_and_the_schema_knows_it() {
    let mut known = Vec::new();
    leaves(&serde_json::from_str(&text("values.schema.json")).unwrap(), &[], &mut known);
    // Helm's own.
    known.retain(|path| path != &["global"]);
    let mut described: Vec<_> = described().into_iter().map(|one| one.path).collect();
    known.sort();
    described.sort();
    assert_eq!(described, known, "values.yaml is left, values.schema.json is right");
}

#[test]
fn every_value_is_used_by_a_template() {
    let mut templates = String::new();
    let mut folders = vec![chart().join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                templates.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    for one in described() {
        let name = format!(".Values.{}", one.path.join("."));
        let used = templates.split(&name).skip(1);
        let whole = used.filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric())).count();
        assert!(whole > 0, "nothing reads {name}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "asks whether the page is to be written anew")]
fn the_table_of_values_is_up_to_date() {
    let values = yaml("values.yaml");
    let mut table = "| Value | Default | What it does |\n|---|---|---|\n".to_owned();
    for Described { path, words } in described() {
        let default = path.iter().fold(&values, |value, key| &value[key]);
        let _ = writeln!(table, "| `{}` | `{default}` | {words} |", path.join("."));
    }
    let page = text("README.md");
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = format!("{before}{BEGIN}\n{table}\n{END}{after}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(chart().join("README.md"), fresh).unwrap();
    }
    assert!(page == fresh, "README.md is stale: UPDATE_GOLDEN=1 cargo test -p operator --test chart");
}
