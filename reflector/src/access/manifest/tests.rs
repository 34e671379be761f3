use proptest::prelude::*;

use super::super::fixtures::{NAME, id, peer};
use super::*;

fn mine() -> Mine {
    Mine { name: NAME.into(), fleet: Some("pis".into()) }
}

fn yaml(text: &str) -> Parsed {
    parse("peers.yaml", Format::Yaml, text, &mine())
}

fn names(parsed: &Parsed) -> Vec<(String, String, bool)> {
    let row = |(k, o): &(Key, Arc<Object>)| (k.to_string(), o.name().to_owned(), o.peer.is_ok());
    parsed.objects.iter().map(row).collect()
}

fn problem(parsed: &Parsed) -> &str {
    &parsed.objects[0].1.peer.as_ref().unwrap_err().problem
}

#[test]
fn a_list_as_kubectl_prints_it_is_named_and_denies_whom_it_names() {
    let item = peer("attic").endpoint(3).json();
    let list = |kind: &str, item: &Value| {
        let list = serde_json::json!({ "apiVersion": "v1", "kind": kind, "items": [item] });
        parse("l.json", Format::Json, &list.to_string(), &mine())
    };
    for kind in ["List", "ReflectorPeerList"] {
        let parsed = list(kind, &item);
        assert!(problem(&parsed).contains("a document of its own"), "{}", problem(&parsed));
        assert_eq!(parsed.objects[0].1.claims(), [id(3)]);
    }
    let other = serde_json::json!({ "apiVersion": "v1", "kind": "Secret" });
    assert_eq!((list("List", &other).foreign, list("List", &other).objects.len()), (1, 0));
}

#[test]
fn only_manifest_suffixes_count_and_no_dot_files() {
    for (name, format) in [
        ("a.yaml", Some(Format::Yaml)),
        ("a.b.yml", Some(Format::Yaml)),
        ("a.json", Some(Format::Json)),
        (".a.yaml", None),
        (".yaml", None),
        ("a.yaml~", None),
        ("a.yaml.swp", None),
        ("README", None),
        ("..data", None),
    ] {
        assert_eq!(Format::of(name), format, "{name}");
    }
}

#[test]
fn a_broken_document_does_not_stop_its_neighbours() {
    let text = format!(
        "# ours\n{}---\nendpointId: {} }} [\n--- # third\n{}",
        peer("one").endpoint(1).yaml(),
        id(2),
        peer("three").endpoint(3).yaml()
    );
    let parsed = yaml(&text);
    let expected =
        [("peers.yaml", "one", true), ("peers.yaml (document 2)", "peers.yaml (document 2)", false)]
            .into_iter()
            .chain([("peers.yaml (document 3)", "three", true)]);
    for ((key, name, good), want) in names(&parsed).iter().zip(expected) {
        assert_eq!((key.as_str(), name.as_str(), *good), want);
    }
    assert_eq!(parsed.objects[1].1.claims(), [id(2)], "and denies whom it names");
}

#[test]
fn text_that_looks_like_a_number_stays_text() {
    let text = peer("one").endpoint(1).yaml() + "  displayName: '5'\n";
    let parsed = yaml(&text);
    assert_eq!(parsed.objects[0].1.peer.as_ref().unwrap().display_name.as_deref(), Some("5"));
}

#[test]
fn a_twice_written_key_is_refused_not_guessed() {
    let parsed = yaml(&(peer("one").endpoint(1).suspended().yaml() + "  suspend: false\n"));
    assert!(problem(&parsed).contains("not YAML"), "{}", problem(&parsed));
    assert_eq!(parsed.objects[0].1.claims(), [id(1)]);
}

#[test]
fn json_files_are_read_too() {
    let parsed = parse("a.json", Format::Json, &peer("one").endpoint(1).json().to_string(), &mine());
    assert_eq!(names(&parsed), [("a.json".into(), "one".into(), true)]);
    assert!(problem(&parse("a.json", Format::Json, "{", &mine())).contains("not JSON"));
    assert!(parse("a.json", Format::Json, " \n", &mine()).objects.is_empty());
}

#[test]
fn peers_of_others_and_other_kinds_are_foreign() {
    let ours = [("Reflector", NAME), ("ReflectorFleet", "pis")];
    for (kind, name) in ours {
        let parsed = yaml(&peer("one").endpoint(1).reference(kind, name).yaml());
        assert_eq!((parsed.objects.len(), parsed.foreign), (1, 0), "{kind} {name}");
    }
    for (kind, name) in [("Reflector", "cellar"), ("ReflectorFleet", NAME), ("Reflector", "pis")] {
        let parsed = yaml(&peer("one").endpoint(1).reference(kind, name).yaml());
        assert_eq!((parsed.objects.len(), parsed.foreign), (0, 1), "{kind} {name}");
    }
    let parsed = yaml("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\n");
    assert_eq!((parsed.objects.len(), parsed.foreign), (0, 1));
}

#[test]
fn what_is_nearly_a_peer_is_broken_and_says_what_to_write() {
    for (from, to, says) in [
        (
            "packetparamedic.io/v1alpha1",
            "packetparamedic.io/v1",
            "write apiVersion: packetparamedic.io/v1alpha1",
        ),
        ("kind: ReflectorPeer", "kind: reflectorpeer", "kind: ReflectorPeer"),
        ("kind: ReflectorPeer", "king: ReflectorPeer", "kind is missing"),
        ("kind: Reflector\n", "kind: Relay\n", "Reflector or ReflectorFleet"),
    ] {
        let text = peer("one").endpoint(1).yaml();
        assert!(text.contains(from), "{text}");
        let parsed = yaml(&text.replacen(from, to, 1));
        assert!(problem(&parsed).contains(says), "{to}: {}", problem(&parsed));
        assert_eq!(parsed.objects[0].1.claims(), [id(1)], "{to}");
    }
    assert!(problem(&yaml("- a\n- b\n")).contains("not an object"));
}

#[test]
fn comments_and_trailing_separators_are_no_documents() {
    let text = format!("---\n# nothing\n---\n{}---\n", peer("one").endpoint(1).yaml());
    assert_eq!(names(&yaml(&text)), [("peers.yaml".into(), "one".into(), true)]);
    assert!(yaml("").objects.is_empty());
}

#[test]
fn documents_past_the_limit_are_named_and_denied() {
    let one =
        |n: usize| format!("---\n{}", peer(&format!("p{n}")).endpoint(u8::try_from(n % 256).unwrap()).yaml());
    let text: String = (0..MAX_DOCUMENTS).map(one).collect();
    assert!(yaml(&text).objects.iter().all(|(_, o)| o.peer.is_ok()), "exactly the limit is fine");
    let over = yaml(&(text + &one(77) + &one(78)));
    let (_, last) = over.objects.last().unwrap();
    assert_eq!((over.objects.len(), last.claims()), (MAX_DOCUMENTS + 1, &[id(77), id(78)][..]));
    assert!(last.peer.as_ref().unwrap_err().problem.contains("more than 1000 documents"));
}

#[test]
fn deep_nesting_and_alias_bombs_are_refused() {
    let deep = format!("a: {}1{}\n", "[".repeat(5000), "]".repeat(5000));
    assert!(problem(&yaml(&deep)).contains("not YAML"));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..9 {
        let before = format!("*a{}, ", n - 1).repeat(9);
        bomb = format!("{bomb}a{n}: &a{n} [{}]\n", before.trim_end_matches(", "));
    }
    assert!(problem(&yaml(&bomb)).contains("not YAML"));
}

proptest! {
    #[test]
    fn documents_cover_the_file_without_gaps(text in "(---|---\n|a: 1\n|# x\n|\n|-|\\.\\.\\.\n|é){0,20}") {
        let ranges = split(&text);
        let joined: String = ranges.iter().map(|r| &text[r.clone()]).collect();
        prop_assert_eq!(joined, text);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}", json in any::<bool>()) {
        parse("x", if json { Format::Json } else { Format::Yaml }, &text, &mine());
    }
}
