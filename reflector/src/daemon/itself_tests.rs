//! The reflector connects to itself, over its real port.

use crds::EndpointId;
use e2e::appliance::{Appliance, Closed, Ending, Key};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::identity::{Current, Identity};
use crate::selfconnect::{Answer, call};
use crate::server::rehearsal::REHEARSAL;

use super::engines::Engines;
use super::start::start;
use super::tests::{HALF_OPEN, House, pass, plain};

fn a_key() -> Current {
    Current::new(Identity::generate().unwrap(), None, clock::now().wall).unwrap()
}

fn missed(answer: Answer) -> String {
    match answer {
        Answer::Missed(why) => why,
        other => panic!("{other:?}"),
    }
}

/// X10
#[tokio::test]
async fn the_reflector_would_grant_itself_a_test_and_nobody_sees_that_it_asked() {
    let house = House::open().await;
    let us = a_key();
    house.reflector.server.expect_itself(us.identity.id());
    for _ in 0..20 {
        let answer = call(house.addr(), house.reflector.endpoint_id(), &us).await;
        assert_eq!(answer, Answer::Granted, "no limit counts it");
    }
    assert_eq!(house.reflector.server.connections_of(&us.identity.id()), 0);
    assert_eq!(house.reflector.sessions.active(None), []);
    house.until_metric("reflector_sessions_active{type=\"throughput\"}", 0.0).await;
    let audited = std::fs::read_to_string(house.dir.path().join("audit.jsonl")).unwrap_or_default();
    assert!(!audited.contains(&us.identity.id().to_string()), "{audited}");
    house.until_metric(HALF_OPEN, 0.0).await;
}

/// The way in is one key. Whoever has another is told what every stranger is told.
#[tokio::test]
async fn with_any_other_key_it_is_a_stranger() {
    let house = House::open().await;
    let (ours, other) = (a_key(), a_key());
    let why = missed(call(house.addr(), house.reflector.endpoint_id(), &ours).await);
    assert!(why.contains("not this host's"), "before it is known: {why}");
    house.reflector.server.expect_itself(ours.identity.id());
    let why = missed(call(house.addr(), house.reflector.endpoint_id(), &other).await);
    assert!(why.contains("not this host's"), "{why}");
    // Nobody becomes it later.
    house.reflector.server.expect_itself(other.identity.id());
    missed(call(house.addr(), house.reflector.endpoint_id(), &other).await);
    assert_eq!(call(house.addr(), house.reflector.endpoint_id(), &ours).await, Answer::Granted);
    house.until_audited("unknown_peer").await;
}

/// X10
#[tokio::test]
async fn whatever_else_has_the_port_is_not_taken_for_the_reflector() {
    let house = House::open().await;
    let us = a_key();
    house.reflector.server.expect_itself(us.identity.id());
    let why = missed(call(house.addr(), us.identity.id(), &us).await);
    assert!(why.contains("another process has TCP port"), "{why}");
}

/// X10: that it shuts down is said elsewhere, and over a port that works.
#[tokio::test]
async fn a_reflector_that_grants_nobody_anything_says_so_to_itself() {
    let house = House::open().await;
    let us = a_key();
    house.reflector.server.expect_itself(us.identity.id());
    house.reflector.sessions.drain(std::time::Duration::ZERO).await;
    assert_eq!(call(house.addr(), house.reflector.endpoint_id(), &us).await, Answer::Shut);
}

/// X10: a grant is more than a port that answers.
#[tokio::test]
async fn a_reflector_without_an_engine_does_not_pass() {
    let dir = tempfile::tempdir().unwrap();
    let reflector = start(plain(dir.path(), ""), Engines::Instead(Vec::new())).await.unwrap();
    let us = a_key();
    reflector.server.expect_itself(us.identity.id());
    let mut core = JoinSet::new();
    reflector.spawn_core(&mut core, &CancellationToken::new());
    // Before its policy is loaded it is shut, which status says.
    let why = loop {
        match call(reflector.listen, reflector.endpoint_id(), &us).await {
            Answer::Shut => {}
            answer => break missed(answer),
        }
    };
    assert!(why.contains("no test is granted (invalid_params)") && why.contains("no engine"), "{why}");
}

/// P9: not even we hold a connection for ever.
#[tokio::test]
async fn a_rehearsal_that_says_nothing_ends() {
    let house = House::open().await;
    let key = Key::generate();
    house.reflector.server.expect_itself(key.endpoint_id().parse::<EndpointId>().unwrap());
    house.until_metric(HALF_OPEN, 0.0).await;
    let mut mute = Appliance::builder(key).connect(house.addr()).await.unwrap();
    house.until_metric(HALF_OPEN, 1.0).await;
    pass(REHEARSAL).await;
    assert_eq!(mute.read_raw_until_closed().await, Closed { how: Ending::CloseNotify, unread: Vec::new() });
    house.until_metric(HALF_OPEN, 0.0).await;
}
