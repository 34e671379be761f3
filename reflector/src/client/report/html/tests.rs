use std::path::Path;

use super::*;
use crate::client::result::samples;

#[test]
#[expect(clippy::disallowed_methods, reason = "asks whether golden files are to be written")]
fn the_page_of_each_sample_is_the_one_we_looked_at() {
    for (name, sample) in [("cable", samples::cable()), ("cut", samples::cut())] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/client/report/golden/{name}.html"));
        let actual = render(&sample);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &actual).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let hint = "if meant: UPDATE_GOLDEN=1 cargo test -p reflector --lib client::report, and look at it in a browser";
        assert!(actual == expected, "{name}: {hint}");
    }
}

/// Nothing is fetched, nothing runs: what would is neither there nor allowed.
#[test]
fn a_page_needs_no_network_and_runs_no_script() {
    for (name, sample) in samples::all() {
        let page = render(&sample);
        for outside in
            ["src=", "href=", "url(", "@import", "<script", "<iframe", "<link", "javascript:", "http://"]
        {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
        assert!(page.contains("default-src 'none'"), "{name}");
    }
}

/// Every element that is opened is closed, in order: a stray quote or bracket would show here.
#[test]
fn a_page_is_well_formed_whatever_a_reflector_calls_itself() {
    const HOSTILE: &str = "</pre></title></style>\"'><svg onload=alert(1)><!-- \u{202e}\u{0}]]> &amp;";
    let mut hostile = samples::complete();
    let bad = || HOSTILE.to_owned();
    hostile.version = bad();
    hostile.schema = bad();
    let (local, remote) = (&mut hostile.local, &mut hostile.reflector);
    for text in [
        &mut local.endpoint_id,
        &mut local.address,
        &mut local.kernel,
        &mut local.cpu_model,
        &mut local.interface,
    ] {
        *text = Some(bad());
    }
    remote.target = bad();
    for text in
        [&mut remote.address, &mut remote.endpoint_id, &mut remote.version, &mut remote.network_position]
    {
        *text = Some(bad());
    }
    remote.clock.as_mut().unwrap().source = Some(bad());
    let score = hostile.responsiveness.as_mut().unwrap();
    score.method = bad();
    score.phases[0].name = bad();
    for phase in &mut hostile.phases {
        (phase.name, phase.test_id, phase.end_reason) = (bad(), Some(bad()), bad());
        phase.limit.evidence[0].signal = bad();
        phase.streams[0].tcp.congestion = Some(bad());
        phase.echo_idle.as_mut().unwrap().stamps = Some(bad());
    }
    hostile.warnings = vec![bad()];
    hostile.not_measured = vec![crate::client::result::NotMeasured { what: bad(), why: bad() }];

    let page = render(&hostile);
    assert_eq!(tags(&page), tags_without_text(&hostile));
    assert!(!page.contains("<svg onload") && !page.contains('\u{202e}'), "escaped");
    for (name, sample) in samples::all() {
        assert!(tags(&render(&sample)) > 50, "{name}");
    }
}

/// The same page with harmless words has the same tags.
fn tags_without_text(hostile: &TestResult) -> usize {
    let harmless =
        hostile.to_json().unwrap().replace(&serde_json::to_string(&hostile.version).unwrap(), "\"x\"");
    tags(&render(&serde_json::from_str(&harmless).unwrap()))
}

/// Counts the elements, and fails on one that is not closed where it should be.
#[track_caller]
fn tags(page: &str) -> usize {
    const EMPTY: [&str; 4] = ["meta", "!doctype", "rect", "line"];
    let mut open: Vec<&str> = Vec::new();
    let mut count = 0;
    for part in page.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '\n']).next().unwrap();
        count += 1;
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{part}");
        } else if !EMPTY.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert_eq!(open, [""; 0]);
    count
}

/// H7, E11: the page says what people ask.
#[test]
fn a_page_shows_rates_grade_limit_and_evidence_in_words() {
    let page = render(&samples::cable());
    for said in [
        "487 Mbit/s",
        "Responsiveness",
        ">C<",
        "A queue on the path".to_lowercase().as_str(),
        "Round trip under load",
        "fq_codel",
        "Raspberry Pi 5",
        "in step, within 2.40 ms",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn a_result_without_anything_is_still_a_page() {
    let mut empty = samples::stock();
    empty.phases.clear();
    empty.list_missing(|_| None);
    assert!(tags(&render(&empty)) > 20);
}
