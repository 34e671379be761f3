//! Where a result is kept, and what is said when it cannot be.

use super::person::{BUSY, Person, err};

const SHORT: [&str; 5] = ["-t", "1", "--up", "--udp", "1M"];

/// C2
#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_written_where_it_is_named_beside_the_json_on_standard_output() {
    let person = Person::paired(BUSY).await;
    let page = person.home.path().join("result.html");
    let named = ["--html", page.to_str().unwrap()];
    let result = person.json(&[&SHORT[..], &named].concat(), 0);
    let text = std::fs::read_to_string(&page).unwrap();
    let test_id = result["phases"][0]["test_id"].as_str().unwrap();
    assert!(text.starts_with("<!doctype html>") && text.contains(test_id), "{test_id}");
    assert!(!text.contains("src=") && !text.contains("<script"), "it asks no network and runs nothing");
}

/// C2
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_has_no_place_is_said_before_the_test_costs_anything() {
    let person = Person::paired(BUSY).await;
    let before = person.bed.audit().len();
    let gone = person.home.path().join("gone/result.html");
    for (file, code, hint) in [
        ("-", 64, "standard output holds the result"),
        (gone.to_str().unwrap(), 1, "there is no folder"),
        (person.home.path().to_str().unwrap(), 1, "it is a folder"),
    ] {
        let output = person.test(&[&SHORT[..], &["--html", file]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
        assert!(err(&output).contains(hint), "{}", err(&output));
    }
    assert_eq!(person.bed.audit().len(), before, "nobody was asked for a session");
}

/// C2: what was measured is shown, and a script still notices that it was not kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_kept_is_printed_and_ends_with_1() {
    let person = Person::paired(BUSY).await;
    let file = person.home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let save = format!("--save={}", file.join("inside").display());
    let output = person.test(&[&SHORT[..], &[&save]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("not saved: "), "{}", err(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains(" completed"), "the table is there");
}
