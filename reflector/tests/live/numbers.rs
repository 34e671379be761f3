//! What the reflector says of itself in numbers and words, while it runs.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use super::*;
use crate::bed::http_get;

/// H3: each number is there after its cause, and promtool reads the page of a running reflector without a word.
#[tokio::test]
async fn what_happened_is_counted_once_and_promtool_reads_it() {
    well_before_midnight().await;
    let bed = Bed::start().await;
    let (_, mut control) = bed.appliance("attic").await;
    let grant = control.request(&Test::throughput(10)).await.unwrap().granted().unwrap();
    let limits = Limits { bytes: Some(345_678), ..Limits::default() };
    transfer(&Target::from(&grant), Direction::Upload, limits).finish().await.unwrap();
    end_of(&bed, &grant).await;
    let grant = control.request(&Test::throughput(1).download()).await.unwrap().granted().unwrap();
    let down = transfer(&Target::from(&grant), Direction::Download, Limits::default());
    let down = down.finish().await.unwrap().bytes;
    end_of(&bed, &grant).await;
    let denial = control.request(&Test::throughput(0)).await.unwrap().denied().unwrap();
    assert_eq!(denial.reason, "invalid_params");
    let nobody =
        Appliance::builder(Key::generate()).no_client_certificate().open(bed.addr).await.unwrap_err();
    assert_eq!(nobody.alert(), Some(116));
    let counted = [
        ("reflector_connections_total", 2),
        ("reflector_connections{state=\"known\"}", 1),
        ("reflector_sessions_total{end_reason=\"completed\",type=\"throughput\"}", 2),
        ("reflector_sessions_active{type=\"throughput\"}", 0),
        ("reflector_session_seconds_count", 2),
        ("reflector_session_bytes_total{type=\"throughput\"}", 345_678 + down),
        ("reflector_session_denied_total{reason=\"invalid_params\"}", 1),
        ("reflector_handshakes_total{result=\"ok\"}", 1),
        ("reflector_handshakes_total{result=\"no_client_certificate\"}", 1),
        ("reflector_peer_bytes_today{peer=\"attic\"}", 345_678 + down),
        ("reflector_peer_tests_today{peer=\"attic\"}", 1),
    ];
    for (series, expected) in counted {
        assert_eq!(number(&bed, series).await, expected, "{series}");
    }
    assert!(bed.metric("reflector_session_seconds_sum").await > 0.9, "the download took a second");
    let page = http_get(bed.health, "/metrics").await;
    let mut promtool = tokio::process::Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else {
        return e2e::skipping::skip_test("promtool (Debian package prometheus)");
    };
    child.stdin.take().unwrap().write_all(page.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// P10: found out when not set, and the same everywhere it is said.
#[tokio::test]
async fn hello_and_status_say_where_the_reflector_stands() {
    for set in ["auto", "wan", "lan", "hybrid"] {
        let bed = Bed::launch("", &[("REFLECTOR__NETWORK__DEPLOYMENT_MODE", set)]).await;
        let key = Key::generate();
        bed.add(&key, "attic");
        let (mut control, hello) = open(&bed, &key).await.unwrap();
        let said = hello["network_position"].as_str().unwrap().to_owned();
        // What a host's addresses say is known only to itself.
        let expected =
            ["lan", "wan", "hybrid", "unknown"].into_iter().filter(|one| set == "auto" || set == *one);
        assert!(expected.into_iter().any(|one| said == one), "{set}: {said}");
        assert_eq!(control.status().await.unwrap()["network_position"], said);
        assert_eq!(bed.status()["network_position"], said);
    }
}
