//! The control connection, seen from the client.

use std::time::Duration;

use reflector::client::pairing::pair;
use reflector::client::{Address, Link, LinkError};
use reflector::identity::{Current, Identity};
use reflector::link::features::Feature;
use reflector::link::message::{Mode, SessionParams, TestType};
use reflector::reason::{DenyReason, EndReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::bed::{Bed, PATIENCE};

pub(crate) fn somebody() -> Current {
    Current::new(Identity::generate().unwrap(), None, jiff::Timestamp::UNIX_EPOCH).unwrap()
}

pub(crate) fn address(bed: &Bed) -> Address {
    format!("{}@{}", bed.endpoint_id, bed.addr).parse().unwrap()
}

pub(crate) fn enrol(bed: &Bed, us: &Current) {
    let output = bed.cli(&["peers", "add", &us.identity.id().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn throughput(duration_sec: u64) -> SessionParams {
    SessionParams { duration_sec, protocol: None, streams: None, reverse: None, mode: None }
}

/// G9, G3
#[tokio::test]
async fn a_known_client_is_granted_a_session_and_hears_its_result() {
    let bed = Bed::start().await;
    let us = somebody();
    enrol(&bed, &us);
    let mut link = Link::connect(&address(&bed), &us).await.unwrap();
    assert_eq!(link.hello().policy_summary.max_test_duration_sec, 60);
    assert!(link.has(Feature::Results) && !link.has(Feature::Queue));

    let grant = link.request(TestType::Throughput, throughput(20)).await.unwrap();
    assert_eq!(grant.duration_sec, Some(20));
    assert_eq!(link.status().await.unwrap().active_test.unwrap().test_id, grant.test_id);
    let mut data = TcpStream::connect((link.remote().ip(), grant.port)).await.unwrap();
    data.write_all(format!("{}u", grant.token).as_bytes()).await.unwrap();
    data.write_all(&vec![7; 100_000]).await.unwrap();
    data.shutdown().await.unwrap();
    let _ = data.read(&mut [0; 1]).await;
    // An answer in between does not swallow the result, whichever comes first.
    assert!(link.path_meta().await.unwrap().memory_total_mb > 0);
    let result = link.result(grant.test_id, PATIENCE).await.unwrap();
    assert_eq!((result.mode, result.bytes), (Mode::DirectEphemeral, 100_000));
    link.close().await;
}

#[tokio::test]
async fn a_session_of_ours_can_be_closed_and_a_foreign_one_cannot() {
    let bed = Bed::start().await;
    let us = somebody();
    enrol(&bed, &us);
    let mut link = Link::connect(&address(&bed), &us).await.unwrap();
    let grant = link.request(TestType::Throughput, throughput(20)).await.unwrap();
    let denied = link.request(TestType::Throughput, throughput(20)).await.unwrap_err();
    let LinkError::Denied { reason: DenyReason::Busy, retry_after_sec: Some(_), .. } = denied else {
        panic!("{denied:?}");
    };
    assert!(denied.is_denial() && denied.leaves_the_link());
    link.close_session(grant.test_id).await.unwrap();
    let ended = link.result(grant.test_id, PATIENCE).await.unwrap().end_reason;
    assert!(matches!(ended, EndReason::ClientTerminated), "{ended}");
    let refused = link.close_session(Uuid::new_v4()).await.unwrap_err();
    assert!(matches!(refused, LinkError::Refused { code: 403, .. }), "{refused:?}");
}

/// A2, A7
#[tokio::test]
async fn a_stranger_is_told_who_it_is_and_a_code_makes_it_a_peer() {
    let bed = Bed::start().await;
    let us = somebody();
    let refused = Link::connect(&address(&bed), &us).await.unwrap_err();
    assert!(refused.is_denial(), "{refused:?}");
    let closed = pair(&address(&bed), &us, "ABCD2345").await.unwrap_err();
    assert!(matches!(closed, LinkError::NoWindow { .. }) && closed.is_denial(), "{closed:?}");
    let told = refused.to_string();
    assert!(told.contains(&us.identity.id().to_string()) && told.contains("--code"), "{told}");

    let code = bed.pair();
    let mut link = Link::connect(&address(&bed), &us).await.unwrap();
    let early = link.admitted().await.unwrap_err();
    assert!(matches!(early, LinkError::NotPaired { .. }) && !early.to_string().contains("pair_request"));
    let early = link.request(TestType::Throughput, throughput(20)).await.unwrap_err();
    assert!(matches!(early, LinkError::NotPaired { .. }), "{early:?}");
    let wrong = link.pair("00000000").await.unwrap_err();
    assert!(matches!(wrong, LinkError::PairingRefused { .. }) && wrong.is_denial(), "{wrong:?}");
    link.pair(&code).await.unwrap();
    link.request(TestType::Throughput, throughput(20)).await.unwrap();
    let again = Link::connect(&address(&bed), &us).await.unwrap();
    assert_eq!(again.hello().policy_summary.allowed_test_types.len(), 2);
}

/// I8
#[tokio::test]
async fn a_reflector_with_another_key_is_refused_before_it_learns_who_we_are() {
    let bed = Bed::start().await;
    let us = somebody();
    let expected = somebody().identity.id();
    let wrong: Address = format!("{expected}@{}", bed.addr).parse().unwrap();
    let refused = Link::connect(&wrong, &us).await.unwrap_err();
    let LinkError::Server(why) = &refused else { panic!("{refused:?}") };
    let told = why.to_string();
    assert!(told.contains(&bed.endpoint_id) && told.contains(&expected.to_string()), "{told}");
    assert!(!refused.is_denial());
}

/// A8
#[tokio::test]
async fn a_revoked_client_learns_that_its_connection_is_gone() {
    let bed = Bed::start().await;
    let us = somebody();
    enrol(&bed, &us);
    let mut link = Link::connect(&address(&bed), &us).await.unwrap();
    link.request(TestType::Throughput, throughput(20)).await.unwrap();
    assert!(bed.cli(&["peers", "revoke", &us.identity.id().to_string()]).status.success());
    let gone = async { while link.pushed().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    let told = Link::connect(&address(&bed), &us).await.unwrap_err();
    // Neither a code nor another entry would let it in again: it is not told to ask for one.
    assert!(matches!(told, LinkError::ShutOut { .. }) && told.is_denial(), "{told:?}");
    let words = told.to_string();
    assert!(words.contains("revoked") && words.contains(&us.identity.id().to_string()), "{words}");
    assert!(!words.contains("--code") && !words.contains("peers add"), "{words}");
    let code = bed.pair();
    let told = pair(&address(&bed), &us, &code).await.unwrap_err();
    assert!(matches!(told, LinkError::ShutOut { .. }), "{told:?}");
}

/// X4
#[tokio::test]
async fn keys_differ_by_session_by_purpose_and_by_connection() {
    let bed = Bed::start().await;
    let us = somebody();
    enrol(&bed, &us);
    let link = Link::connect(&address(&bed), &us).await.unwrap();
    let other = Link::connect(&address(&bed), &us).await.unwrap();
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    let mine = link.secrets(one).unwrap();
    assert_eq!(mine.data, link.secrets(one).unwrap().data);
    assert_ne!(mine.data, link.secrets(two).unwrap().data);
    assert_ne!(mine.data, other.secrets(one).unwrap().data);
    assert_ne!(mine.echo[..32], mine.echo[32..]);
    assert_ne!(mine.echo[..32], mine.data);
}

#[tokio::test]
async fn nobody_at_the_address_is_said_with_the_address() {
    let us = somebody();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = closed.local_addr().unwrap();
    drop(closed);
    let nobody: Address = format!("{}@{at}", us.identity.id()).parse().unwrap();
    let error = Link::connect(&nobody, &us).await.unwrap_err();
    assert!(matches!(&error, LinkError::Connect { .. }) && error.to_string().contains(&at.to_string()));
    let nowhere: Address = format!("{}@nowhere.invalid", us.identity.id()).parse().unwrap();
    let error = Link::connect(&nowhere, &us).await.unwrap_err();
    assert!(matches!(error, LinkError::Resolve { .. }), "{error:?}");
}

/// What answers is no reflector: it speaks first, and not TLS.
#[tokio::test]
async fn something_else_behind_the_address_is_said() {
    let us = somebody();
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = other.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = other.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-somebody\r\n").await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 1000])).await.unwrap().unwrap();
    });
    let address: Address = format!("{}@{at}", us.identity.id()).parse().unwrap();
    let error = Link::connect(&address, &us).await.unwrap_err();
    assert!(matches!(error, LinkError::Handshake { .. }), "{error:?}");
    server.await.unwrap();
}
