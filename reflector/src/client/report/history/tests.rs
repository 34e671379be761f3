use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::client::result::samples;

fn at(mut result: TestResult, when: &str) -> TestResult {
    result.started_at = when.parse().unwrap();
    result
}

#[test]
fn a_saved_result_is_found_again_in_the_order_of_the_tests() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("not/there/yet");
    assert_eq!(list(&folder).unwrap(), []);
    let late = at(samples::cable(), "2026-11-21T10:00:00Z");
    let early = at(samples::gigabit(), "2026-11-21T09:00:00Z");
    for result in [&late, &early] {
        save(&folder, result).unwrap();
    }
    let found: Vec<TestResult> = list(&folder).unwrap().into_iter().map(|(_, result)| result).collect();
    assert_eq!(found, [early, late]);
}

#[test]
fn two_tests_of_one_second_are_both_kept_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [(); 3].map(|()| save(folder.path(), &samples::cable()).unwrap());
    let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "20261121T091403Z-reflector.example.net_4000.json",
            "20261121T091403Z-reflector.example.net_4000-2.json",
            "20261121T091403Z-reflector.example.net_4000-3.json",
        ]
    );
    assert_eq!(fs::metadata(&paths[0]).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(list(folder.path()).unwrap().len(), 3);
    for path in &paths {
        let page = page_of(path);
        assert!(fs::read_to_string(&page).unwrap().starts_with("<!doctype html>"));
        assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// A target comes from the command line, but also from scripts.
#[test]
fn no_target_leads_out_of_the_folder() {
    let base = file_base("2026-11-21T09:14:03Z".parse().unwrap(), "../../etc/$(x) [fe80::1%eth0]:4000\0");
    assert_eq!(base, "20261121T091403Z-.._.._etc___x___fe80__1_eth0__4000_");
    assert!(file_base(Timestamp::UNIX_EPOCH, &"é".repeat(500)).len() < 100);
}

#[test]
fn what_is_no_result_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("a.json", "{}"), ("b.json", "not json"), ("c.txt", "x"), ("d.json", "{\"schema\":\"x/2\"}")]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::create_dir(folder.path().join("e.json")).unwrap();
    save(folder.path(), &samples::stock()).unwrap();
    assert_eq!(list(folder.path()).unwrap().len(), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 7);
}

#[test]
fn a_result_is_compared_with_the_one_before_of_the_same_reflector() {
    let now = at(samples::cable(), "2026-11-21T10:00:00Z");
    let older = |when, change: fn(&mut TestResult)| {
        let mut result = at(samples::cable(), when);
        change(&mut result);
        (PathBuf::new(), result)
    };
    let before = [
        older("2026-11-20T08:00:00Z", |_| {}),
        // Another name, the same reflector.
        older("2026-11-20T09:00:00Z", |old| {
            old.reflector.target = "203.0.113.7".to_owned();
            old.phases[0].steady_mbps = old.phases[0].steady_mbps.and_then(|m| Real::of(m.value() * 2.0));
        }),
        // The same name, another reflector.
        older("2026-11-20T10:00:00Z", |old| old.reflector.endpoint_id = Some("PP-X".to_owned())),
        older("2026-11-22T10:00:00Z", |_| {}),
    ];
    let found = previous(&before, &now).unwrap();
    assert_eq!(found.reflector.target, "203.0.113.7");
    let lines = compare(found, &now);
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("down: ") && lines[0].contains("(-50 %)"), "{lines:?}");
    assert!(lines[1].contains("(+0 %)") && lines[1].ends_with("since 2026-11-20 09:00 UTC"), "{lines:?}");
    assert_eq!(previous(&[], &now), None);
    assert_eq!(compare(&samples::stock(), &samples::gigabit()), [""; 0]);
}

#[test]
fn a_folder_that_cannot_be_written_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let said = save(&file.join("inside"), &samples::cable()).unwrap_err().to_string();
    assert!(said.starts_with("create ") && said.contains("inside"), "{said}");
}

#[test]
fn a_page_goes_where_it_is_named_and_a_wrong_place_is_said_before_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("result.html");
    may_be_written(&page).unwrap();
    may_be_written(Path::new("result.html")).unwrap();
    for result in [samples::cable(), samples::gigabit()] {
        write_page(&page, &result).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(&result.reflector.target), "it is written over");
    }
    assert_eq!(fs::metadata(&page).unwrap().permissions().mode() & 0o777, 0o600);
    let said = may_be_written(&folder.path().join("gone/result.html")).unwrap_err().to_string();
    assert!(said.contains("there is no folder") && said.contains("gone; make it first"), "{said}");
    let said = may_be_written(folder.path()).unwrap_err().to_string();
    assert!(said.contains("it is a folder"), "{said}");
    let said = write_page(&folder.path().join("gone/x.html"), &samples::cable()).unwrap_err().to_string();
    assert!(said.starts_with("write the page "), "{said}");
}
