//! `reflector test` as a person runs it, against the program as it is shipped.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::bed::until;
use super::person::{BUSY, PROGRAM, Person, err, phase};

/// E13, E11, C2
#[tokio::test(flavor = "multi_thread")]
async fn a_test_measures_both_ways_with_echo_and_every_record_has_the_same_id_and_bytes() {
    let person = Person::paired(BUSY).await;
    let result = person.json(&["-t", "1", "-P", "2"], 0);
    assert_eq!(
        (&result["schema"], &result["reflector"]["kind"]),
        (&"reflector.test/1".into(), &"reflector".into())
    );
    let mut charged = 0;
    for name in ["down", "up"] {
        let phase = phase(&result, name);
        assert_eq!((&phase["mode"], &phase["end_reason"]), (&"direct".into(), &"completed".into()));
        assert_eq!(phase["streams"].as_array().unwrap().len(), 2);
        assert!(phase["mbps"].as_f64().unwrap() > 0.0 && phase["intervals"].as_array().unwrap().len() > 3);
        for echo in ["echo_idle", "echo_loaded"] {
            assert!(phase[echo]["n"].as_u64().unwrap() > 10 && phase[echo]["p50_us"].as_f64().unwrap() > 0.0);
        }
        let of_this = |line: &Value| line["test_id"] == phase["test_id"];
        let line = person.bed.audited("session_completed", of_this).await;
        assert_eq!(line["reason"], "completed");
        let bytes = line["bytes"].as_u64().unwrap();
        assert!(
            bytes >= phase["bytes"].as_u64().unwrap(),
            "the reflector charged {bytes} for {}",
            phase["bytes"]
        );
        charged += bytes;
    }
    assert_eq!(result["usage"]["charged_bytes"], charged);
    assert!(result["responsiveness"]["grade"].is_string(), "{}", result["responsiveness"]);
}

/// E9
#[tokio::test(flavor = "multi_thread")]
async fn a_tunneled_test_needs_one_port_and_says_what_it_was() {
    let person = Person::with("", &[("REFLECTOR__NETWORK__PLAIN_ON_CONTROL_PORT", "false")]).await;
    let code = person.bed.pair();
    let args = ["-t", "1", "--down", "--json", "--code", &code];
    let output = person.command(&person.address(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("through the tunnel instead"), "{}", err(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(phase(&result, "down")["mode"], "tunneled");
    assert!(phase(&result, "down")["bytes"].as_u64().unwrap() > 0);
}

/// G6
#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_uses_up_the_day_is_a_partial_result_and_the_next_is_denied() {
    let person =
        Person::paired(&format!("{BUSY}max_rate = 800_000_000\nmax_bytes_per_day_per_peer = 250_000_000\n"))
            .await;
    let result = person.json(&["-t", "10"], 3);
    let down = phase(&result, "down");
    assert_eq!(down["end_reason"], "quota_exceeded");
    assert_eq!((&down["limit"]["by"], &down["limit"]["cause"]), (&"policy".into(), &"quota".into()));
    let bytes = down["bytes"].as_u64().unwrap();
    assert!((1..=250_000_000).contains(&bytes), "{bytes}");
    assert_eq!(result["usage"]["remaining_bytes"], 0);
    // Nobody answers after the cut: that is no loss of the path.
    let echo = &down["echo_loaded"];
    let of = |key: &str| echo[key].as_u64().unwrap();
    assert!(of("n") > 10 && of("sent") - of("n") < 10, "{echo}");
    let denied = person.test(&["-t", "1"]);
    assert_eq!(denied.status.code(), Some(2), "{}", err(&denied));
    assert!(err(&denied).contains("00:00 UTC"), "{}", err(&denied));
}

/// G6: nobody pays attention to the pace here. Beside what a plain stream may leave behind (256 KiB), a stream of a tunnel has
/// one batch of records that was received and not yet opened.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_through_a_tunnel_crosses_the_limit_by_no_more_than_two_buffers_per_stream() {
    const LIMIT: u64 = 200_000_000;
    const STREAMS: u64 = 4;
    const OVERSHOOT: u64 = 512 * 1024;
    let person = Person::paired(&format!("{BUSY}max_bytes_per_day_per_peer = {LIMIT}\n")).await;
    let result = person.json(&["--tunnel", "--up", "-t", "30", "-P", &STREAMS.to_string()], 3);
    assert_eq!(phase(&result, "up")["end_reason"], "quota_exceeded");
    person.bed.audited("session_completed", |line| line["reason"] == "quota_exceeded").await;
    let number = |line: &Value, key: &str| line[key].as_u64().unwrap_or(0);
    let ends = person.bed.audit().into_iter().filter(|line| line["event_type"] == "session_completed");
    let charged: u64 = ends.map(|line| number(&line, "bytes") + number(&line, "unread_bytes")).sum();
    assert!((LIMIT..=LIMIT + STREAMS * OVERSHOOT).contains(&charged), "{charged}");
    assert_eq!(result["usage"]["remaining_bytes"], 0);
}

/// A7, C2
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_denied_with_its_id_and_what_to_do_and_a_code_lets_it_in() {
    let person = Person::beside("").await;
    let denied = person.test(&[]);
    assert_eq!((denied.status.code(), denied.stdout.len()), (Some(2), 0));
    let told = err(&denied);
    assert!(
        told.contains("made a key for this client") && told.contains("reflector peers add PP-"),
        "{told}"
    );
    let code = person.bed.pair();
    let output = person.test(&["--code", &code, "-t", "1", "--up"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("paired"));
}

/// I8
#[tokio::test(flavor = "multi_thread")]
async fn another_key_at_the_address_is_exit_1_and_both_ids_are_named() {
    let person = Person::beside("").await;
    let expected = "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K";
    let address = format!("{expected}@{}", person.bed.addr);
    let output = person.command(&address, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = err(&output);
    assert!(told.contains(expected) && told.contains(&person.bed.endpoint_id), "{told}");
}

/// G3
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_test_over_there_too_and_prints_what_was_measured() {
    let person = Person::paired(BUSY).await;
    let before = charged(&person);
    let mut command = person.command(&person.address(), &["-t", "30", "--down", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // More than echo on the idle path: its streams run.
    until(|| (charged(&person) > before + 10_000_000).then_some(()), "streams that run").await;
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let down = phase(&result, "down");
    assert_eq!(down["end_reason"], "client_terminated");
    assert!(down["bytes"].as_u64().unwrap() > 0);
    person.bed.audited("session_completed", |line| line["reason"] == "client_terminated").await;
}

/// What the reflector has charged us today.
fn charged(person: &Person) -> u64 {
    person.bed.json(&["peers", "list", "--json"])["peers"][0]["bytes_today"].as_u64().unwrap_or(0)
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

/// C2
#[test]
fn what_cannot_be_measured_is_a_usage_error_that_says_what_to_write() {
    let run = |args: &[&str]| Command::new(PROGRAM).arg("test").args(args).output().unwrap();
    let stock = "iperf3://127.0.0.1:1";
    for (args, hint) in [
        (&["attic.local"][..], "PP-…@host:port"),
        (&[stock, "-t", "0"], "from 1s"),
        (&[stock, "-t", "1h"], "300s"),
        (&[stock, "-P", "129"], "128"),
        (&[stock, "--udp", "fast"], "amount"),
        (&[stock, "--udp", "0"], "more than 0"),
        (&[stock, "--compare", "--tunnel"], "--tunnel"),
        (&[stock, "--code", "SHORT"], "eight symbols"),
        (&[][..], "ADDRESS"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", err(&output));
        assert!(err(&output).contains(hint), "{args:?}: {}", err(&output));
    }
    let tunnel = run(&[stock, "--tunnel"]);
    assert_eq!(tunnel.status.code(), Some(2), "{}", err(&tunnel));
    let nobody = run(&[stock]);
    assert_eq!(nobody.status.code(), Some(1), "{}", err(&nobody));
}
