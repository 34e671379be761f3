use std::path::Path;

use super::*;
use crate::client::result::samples;
use crate::engine::evidence::Real;

#[test]
#[expect(clippy::disallowed_methods, reason = "asks whether golden files are to be written")]
fn the_table_of_each_sample_is_the_one_we_looked_at() {
    for (name, sample) in samples::all() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/client/report/golden/{name}.txt"));
        let actual = render(&sample, false);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &actual).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let hint = "if meant: UPDATE_GOLDEN=1 cargo test -p reflector --lib client::report";
        assert_eq!(actual, expected, "{name}: {hint}");
    }
}

#[test]
fn the_title_is_one_short_line_that_names_the_reflector_once() {
    let id = "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K";
    let mut result = samples::cable();
    result.reflector.endpoint_id = Some(id.to_owned());
    let title = |result: &TestResult| render(result, false).lines().next().unwrap().to_owned();
    assert_eq!(
        title(&result),
        "reflector.example.net:4000  (203.0.113.7)  PP-7DN2-FF6E-…  wan  2026-11-21 09:14 UTC"
    );
    result.reflector.target = "203.0.113.7:4000".to_owned();
    assert_eq!(title(&result), "203.0.113.7:4000  PP-7DN2-FF6E-…  wan  2026-11-21 09:14 UTC");
    assert!(!render(&result, false).contains(id));
}

/// E11
#[test]
fn a_round_trip_that_did_not_grow_under_load_is_no_negative_number() {
    let mut result = samples::gigabit();
    let score = result.responsiveness.as_mut().unwrap();
    score.phases[0].p95_rise_ms = Real::of(-0.02);
    let text = render(&result, false);
    let line = text.lines().find(|line| line.starts_with("Responsiveness")).unwrap();
    assert!(line.ends_with("95 % round trip: no measurable increase under load"), "{line}");
    let page = crate::client::report::html::render(&result);
    assert!(page.contains("95 % round trip: no measurable increase") && !page.contains("-20.0 µs"));
    assert!(result.to_json().unwrap().contains("\"p95_rise_ms\": -0.02"), "programs read the number");
}

/// E11
#[test]
fn what_both_directions_of_one_session_share_is_said_once() {
    let mut result = samples::cable();
    let [down, up] = &mut result.phases[..] else { panic!("two runs") };
    (down.name, up.name) = ("bidir-down".to_owned(), "bidir-up".to_owned());
    up.test_id.clone_from(&down.test_id);
    let text = render(&result, false);
    let has = |begin: &str| text.lines().filter(|line| line.starts_with(begin)).count();
    assert_eq!((has("bidir idle "), has("bidir loaded ")), (1, 1), "{text}");
    assert_eq!((has("bidir-down  "), has("bidir-up  ")), (1, 1), "{text}");
    assert!(text.contains("bidir 0.31, 0.42 s/GB (here, there)"), "{text}");
}

/// H7
#[test]
fn the_last_line_says_what_limited_it_where_and_what_to_try() {
    for (name, sample) in samples::all() {
        let text = render(&sample, false);
        let last = text.lines().last().unwrap();
        assert!(last.contains(" limited by: ") && last.contains("Try: "), "{name}: {last}");
    }
    let text = render(&samples::cut(), false);
    assert!(text.lines().last().unwrap().contains("on the reflector"), "{text}");
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let (painted, bare) = (render(&samples::complete(), true), render(&samples::complete(), false));
    assert!(painted.contains('\u{1b}') && !bare.contains('\u{1b}'));
    assert_eq!(anstream::adapter::strip_str(&painted).to_string(), bare);
}

#[test]
fn foreign_text_draws_nothing_on_the_terminal() {
    let mut hostile = samples::cable();
    let bad = "x\u{1b}]0;owned\u{7}\r\nlimited by: nothing".to_owned();
    hostile.reflector.target.clone_from(&bad);
    hostile.reflector.endpoint_id = Some(bad.clone());
    hostile.reflector.network_position = Some(bad.clone());
    hostile.phases[0].name.clone_from(&bad);
    hostile.phases[0].end_reason.clone_from(&bad);
    hostile.phases[0].limit.evidence[0].signal.clone_from(&bad);
    hostile.not_measured.push(crate::client::result::NotMeasured { what: bad.clone(), why: bad.clone() });
    hostile.warnings.push(bad);
    let text = render(&hostile, false);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&text), lines(&render(&samples::cable(), false)) + 2);
}

/// Whatever the numbers, no line is wider than a terminal of 110 columns, but sentences.
#[test]
fn tables_fit_a_terminal() {
    for (name, sample) in samples::all() {
        for row in render(&sample, false).lines().filter(|line| line.contains("bit/s  ")) {
            assert!(row.chars().count() <= 110, "{name}: {row}");
        }
    }
}
