//! Which bytes a manifest gets: rendering a new one, dropping a document, suspending one with as little change as
//! possible. Pure.

use crds::EndpointId;
use crds::Problem;
use serde_json::{Value, json};

use crate::access::manifest::{self, Document, Format, Mine};

use super::NewPeer;

/// Names less alike than this are no suggestion.
const LIKENESS: f64 = 0.8;

/// A name made from an ID: `peer-7dn2-ff6e`, longer when that one is taken.
pub(super) fn name_for(id: &EndpointId, attempt: u32) -> String {
    match attempt {
        0 => format!("peer-{}", id.short().to_ascii_lowercase()),
        1 => format!("peer-{}", id.confirm().to_ascii_lowercase()),
        n => format!("peer-{}-{n}", id.confirm().to_ascii_lowercase()),
    }
}

/// A manifest as a person would write it, checked as the server will check it.
pub(super) fn render(new: &NewPeer, name: &str, mine: &Mine) -> Result<String, Vec<Problem>> {
    let mut object = json!({
        "apiVersion": "packetparamedic.io/v1alpha1",
        "kind": "ReflectorPeer",
        "metadata": { "name": name },
        "spec": {
            "reflectorRef": { "kind": "Reflector", "name": mine.name },
            "endpointId": new.endpoint_id,
        },
    });
    let mut set = |field: &str, value: Value| {
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert(field.to_owned(), value);
        }
    };
    if let Some(display) = &new.display_name {
        set("displayName", json!(display));
    }
    if let Some(at) = new.expires_at {
        set("expiresAt", json!(at.to_string()));
    }
    if new.suspended {
        set("suspend", json!(true));
    }
    crds::peer::read(object.clone()).and_then(|peer| crds::peer::validate(&peer))?;
    serialise(&object, Format::Yaml).ok_or_else(Vec::new)
}

/// The file without these documents. `None`: nothing is left of it.
pub(super) fn without(text: &str, documents: &[Document], numbers: &[u32]) -> Option<String> {
    if documents.iter().all(|d| numbers.contains(&d.number)) {
        return None;
    }
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for document in documents.iter().filter(|d| numbers.contains(&d.number)) {
        kept.push_str(text.get(at..document.range.start).unwrap_or_default());
        at = document.range.end;
    }
    kept.push_str(text.get(at..).unwrap_or_default());
    Some(kept)
}

/// The file with `spec.suspend: true` in these documents. `None`: one of them is no object.
pub(super) fn suspended(
    text: &str,
    format: Format,
    documents: &[Document],
    numbers: &[u32],
) -> Option<String> {
    let mut edited = String::with_capacity(text.len() + 32);
    let mut at = 0;
    for document in documents.iter().filter(|d| numbers.contains(&d.number)) {
        let before = document.value.as_ref().ok()?;
        let mut after = before.clone();
        after.get_mut("spec")?.as_object_mut()?.insert("suspend".to_owned(), Value::Bool(true));
        let raw = text.get(document.range.clone())?;
        edited.push_str(text.get(at..document.range.start)?);
        if *before == after {
            edited.push_str(raw);
        } else {
            edited.push_str(&by_line(raw, format, &after).map_or_else(|| anew(raw, format, &after), Some)?);
        }
        at = document.range.end;
    }
    edited.push_str(text.get(at..)?);
    Some(edited)
}

/// Changes or adds one line. Only if the result reads as wanted and as nothing else.
fn by_line(raw: &str, format: Format, wanted: &Value) -> Option<String> {
    if format != Format::Yaml {
        return None;
    }
    let lines: Vec<&str> = raw.split_inclusive('\n').collect();
    let spec = lines.iter().position(|l| l.strip_prefix("spec:").is_some_and(is_blank))?;
    let inside = |l: &&&str| is_blank(l) || l.starts_with(' ');
    let block = lines.get(spec + 1..)?;
    let block = block.get(..block.iter().take_while(inside).count())?;
    let first = block.iter().find(|l| !is_blank(l))?;
    let indent = first.get(..first.len() - first.trim_start_matches(' ').len())?;
    let line = format!("{indent}suspend: true\n");
    let old = block.iter().position(|l| l.strip_prefix(indent).is_some_and(|l| l.starts_with("suspend:")));
    let mut edited: Vec<&str> = lines.clone();
    match old {
        Some(offset) => *edited.get_mut(spec + 1 + offset)? = &line,
        None => edited.insert(spec + 1, &line),
    }
    let edited = edited.concat();
    let reads: Vec<Document> = manifest::documents(format, &edited);
    (reads.len() == 1 && reads.first()?.value.as_ref().ok()? == wanted).then_some(edited)
}

fn is_blank(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.starts_with('#')
}

/// Writes the document again. Its comments are lost; its separator is kept.
fn anew(raw: &str, format: Format, value: &Value) -> Option<String> {
    let separator = if format == Format::Yaml && raw.starts_with("---") { "---\n" } else { "" };
    Some(format!("{separator}{}", serialise(value, format)?))
}

fn serialise(value: &Value, format: Format) -> Option<String> {
    match format {
        Format::Yaml => serde_yaml::to_string(value).ok(),
        Format::Json => serde_json::to_string_pretty(value).ok().map(|text| text + "\n"),
    }
}

/// The name most like what was asked for.
pub(super) fn nearest<'a>(who: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    // A foreign text of any length is compared by its beginning only.
    let who: String = who.chars().take(crds::names::MAX_NAME).collect();
    names
        .map(|name| (strsim::jaro_winkler(&who, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::fixtures::{NAME, id, peer};
    use super::*;

    fn suspend(text: &str) -> String {
        suspended(text, Format::Yaml, &manifest::documents(Format::Yaml, text), &[1]).unwrap()
    }

    #[test]
    fn suspending_adds_one_line_and_keeps_every_other_byte() {
        let text = "# the attic\nkind: ReflectorPeer\nspec:   # what\n\n    # ref\n    endpointId: PP-1 # typed\n\nmetadata: {name: a}\n";
        let expected = text.replace("spec:   # what\n", "spec:   # what\n    suspend: true\n");
        assert_eq!(suspend(text), expected);
        assert_eq!(suspend(&expected), expected, "once is enough");
    }

    #[test]
    fn a_suspend_that_says_something_else_is_replaced() {
        for old in ["false", "no # not yet", "null", "'true'", ""] {
            let text = format!("spec:\n  a: 1\n  suspend: {old}\n  b: 2\n");
            assert_eq!(suspend(&text), "spec:\n  a: 1\n  suspend: true\n  b: 2\n", "{old}");
        }
    }

    #[test]
    fn what_cannot_be_edited_by_line_is_written_anew() {
        for text in [
            "---\nspec: { a: 1 }\n",
            "---\n\"spec\":\n  a: 1\n",
            "---\nspec:\n  a: 1\n  suspend:\n    - x\n",
            "---\nspec:\n  suspend: >-\n    folded\n  a: 1\n",
        ] {
            let after = suspend(text);
            let documents = manifest::documents(Format::Yaml, &after);
            let value = documents[0].value.as_ref().unwrap();
            assert_eq!(
                (&value["spec"]["suspend"], &value["spec"]["a"]),
                (&json!(true), &json!(1)),
                "{after}"
            );
            assert!(after.starts_with("---\n"), "{after}");
        }
    }

    #[test]
    fn text_that_only_looks_like_the_field_is_left_alone() {
        let text = "spec:\n  note: |\n    suspend: false\n  quotas:\n    suspend: false\n";
        let after = suspend(text);
        assert_eq!(after, "spec:\n  suspend: true\n".to_owned() + text.strip_prefix("spec:\n").unwrap());
    }

    #[test]
    fn json_is_suspended_too() {
        let text = peer("a").endpoint(1).json().to_string();
        let after = suspended(&text, Format::Json, &manifest::documents(Format::Json, &text), &[1]).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), peer("a").endpoint(1).suspended().json());
    }

    #[test]
    fn a_new_manifest_reads_as_a_person_would_write_it() {
        let new = NewPeer {
            endpoint_id: id(1),
            name: None,
            display_name: Some("Büro: 2".into()),
            expires_at: Some("2026-12-31T00:00:00Z".parse().unwrap()),
            suspended: false,
        };
        let mine = Mine { name: NAME.into(), fleet: None };
        let expected = format!(
            "apiVersion: packetparamedic.io/v1alpha1\nkind: ReflectorPeer\nmetadata:\n  name: buero\nspec:\n  reflectorRef:\n    \
             kind: Reflector\n    name: attic\n  endpointId: {}\n  displayName: \"Büro: 2\"\n  expiresAt: \"2026-12-31T00:00:00Z\"\n",
            id(1)
        );
        assert_eq!(
            render(&new, "buero", &mine)
                .unwrap()
                .replace("expiresAt: 2026-12-31T00:00:00Z", "expiresAt: \"2026-12-31T00:00:00Z\""),
            expected
        );
        assert_eq!(render(&new, "Büro", &mine).unwrap_err()[0].path, "metadata.name");
    }

    #[test]
    fn the_nearest_name_is_suggested_and_only_a_near_one() {
        let names = ["living-room", "kitchen"];
        assert_eq!(nearest("livingroom", names.into_iter()).as_deref(), Some("living-room"));
        assert_eq!(nearest("garage", names.into_iter()), None);
    }

    proptest! {
        /// Whatever else a document holds, suspending it changes nothing but suspend, and the neighbours not at all.
        #[test]
        fn suspending_changes_one_field_only(
            fields in prop::collection::vec(("[a-z]{1,6}", "[ -~]{0,12}"), 0..5), indent in 1usize..6, has in any::<bool>()
        ) {
            let pad = " ".repeat(indent);
            let mut text = String::from("kind: x\nspec:\n");
            for (n, (name, value)) in fields.iter().enumerate() {
                text = format!("{text}{pad}{name}{n}: '{}'\n", value.replace('\'', "''"));
            }
            text = format!("{text}{pad}z: 1\n");
            if has { text = format!("{text}{pad}suspend: false\n"); }
            let before = manifest::documents(Format::Yaml, &text);
            let both = format!("{text}---\nspec: {{ other: 1 }}\n");
            let after = suspend(&both);
            let neighbour = "---\nspec: { other: 1 }\n";
            prop_assert!(after.ends_with(neighbour), "the neighbour changed");
            let mut wanted = before[0].value.clone().unwrap();
            wanted["spec"]["suspend"] = json!(true);
            prop_assert_eq!(manifest::documents(Format::Yaml, &after)[0].value.clone().unwrap(), wanted);
        }
    }
}
