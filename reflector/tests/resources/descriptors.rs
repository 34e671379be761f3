//! No descriptor left: strangers make room, the loop does not spin, and a good peer gets in and is served.

use std::net::IpAddr;
use std::time::Duration;

use e2e::appliance::{Answer, Appliance, Key, Test, raw};
use e2e::confine::Confine;
use futures_util::future::join_all;
use reflector::server::limits::ACCEPT_BACKOFF;
use tokio::time::Instant;

use crate::bed::{Bed, http_get, testbed, until};
use crate::crowd::Crowd;
use crate::good::Good;
use crate::{GENEROUS, source, turn};

/// Descriptors of the whole process; an idle one holds some twenty.
const DESCRIPTORS: u64 = 96;
/// Abusers: four sockets from each of fifty sources, so that no limit on places is in the way.
const SOURCES: usize = 50;
const EACH: usize = 4;

/// Known peers that take every descriptor: nobody can be sent away for the next one.
const KNOWN: usize = 12;
const CONNECTIONS: usize = 8;
/// How long the loop is watched while nothing can be done.
const WATCHED: Duration = Duration::from_secs(2);

/// What a peer hears as `busy` when it does not know the word.
const DENIED: &str = r#"reflector_session_denied_total{reason="resource_exhausted"}"#;
const ERRORS: &str = r#"reflector_accept_errors_total{kind="descriptors"}"#;

async fn confined(extra: &str) -> Bed {
    let confine = Confine::default().descriptors(DESCRIPTORS);
    Bed::launch_as(testbed(), tempfile::tempdir().unwrap(), extra, |spawn| spawn.confined(confine)).await
}

/// P9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_out_of_descriptors_does_not_stop_a_good_peer() {
    let _turn = turn().await;
    let bed = confined(GENEROUS).await;
    let good = Good::new(&bed, "good");
    good.is_served().await;
    let vitals = bed.daemon.vitals();
    let idle = vitals.open_fds().unwrap();

    let sources: Vec<IpAddr> = (0..SOURCES).map(source).collect();
    let crowd = Crowd::gather(bed.addr, &sources, EACH).await;
    for _ in 0..20 {
        // In, and with enough descriptors for a test at the first request.
        good.is_served().await;
    }
    assert_eq!(http_get(bed.health, "/livez").await, "alive\n");
    assert!(bed.metric(ERRORS).await >= 1.0);
    assert!(crowd.opened() as u64 > DESCRIPTORS);
    crowd.leave().await;
    until(|| (vitals.open_fds().unwrap() <= idle + 2).then_some(()), "descriptors given back").await;
}

/// P9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_cannot_make_room_waits_instead_of_spinning() {
    let _turn = turn().await;
    let keys: Vec<Key> = (0..KNOWN).map(|_| Key::generate()).collect();
    let ids: Vec<String> = keys.iter().map(|key| format!("{:?}", key.endpoint_id())).collect();
    let bed =
        confined(&format!("[access]\nname = \"attic\"\nauthorized_peers = [{}]\n{GENEROUS}", ids.join(", ")))
            .await;
    let good = Good::new(&bed, "good");
    let vitals = bed.daemon.vitals();

    // Known peers come in until the last descriptor, whose owner is a stranger for a moment and makes room. Then they
    // begin tests, which take what is left.
    let mut inside = Vec::new();
    'all: for key in &keys {
        for _ in 0..CONNECTIONS {
            match Appliance::builder(key.clone()).open(bed.addr).await {
                Ok((connection, _)) => inside.push(connection),
                Err(_) => break 'all,
            }
        }
    }
    // Tests take the descriptors that are left, those of an engine first and at the end the one of the connection.
    let (mut tests, mut denials) = (0, Vec::new());
    for connection in &mut inside {
        match connection.request(&Test::echo(30)).await.unwrap() {
            Answer::Granted(_) => tests += 1,
            Answer::Denied(denial) => {
                assert!(denial.reason == "busy" && denial.retry_after_sec.is_some(), "{denial}");
                denials.push(denial);
            }
        }
    }
    let last = denials.last().unwrap();
    assert!(last.message.contains("no descriptor is free for another test"), "{last}");
    assert!(inside.len() < KNOWN * CONNECTIONS && tests < inside.len(), "{} {tests}", inside.len());
    // Whoever comes now waits in the kernel's queue, which is what keeps the loop busy.
    let began = Instant::now();
    let waiting = join_all((0..5).map(|n| raw::connect(bed.addr, Some(source(n))))).await;
    // Not `==`: what the child inherited above its limit, as from a build tool, counts too.
    let full = || (vitals.open_fds().unwrap() as u64 >= DESCRIPTORS).then_some(());
    until(full, "every descriptor taken").await;
    let (watched, ticks) = (Instant::now(), vitals.cpu_ticks().unwrap());
    until(|| (watched.elapsed() >= WATCHED).then_some(()), "two seconds").await;
    let (ticks, watched) = (vitals.cpu_ticks().unwrap() - ticks, watched.elapsed());
    full().unwrap();
    // A tick is a hundredth of a second; a spinning thread takes most of them.
    let spent = Duration::from_millis(10 * ticks);
    assert!(spent < watched / 4, "{spent:?} of CPU in {watched:?}");

    drop((waiting, inside));
    good.is_served().await;
    let took = began.elapsed();
    let (errors, most) = (bed.metric(ERRORS).await, took.as_secs_f64() / ACCEPT_BACKOFF.as_secs_f64());
    assert!((10.0..=most + 5.0).contains(&errors), "{errors} errors, at most {most}");
    assert!(bed.metric(DENIED).await >= 1.0, "{} denials", denials.len());
}
