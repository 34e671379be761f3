//! A pairing code works once, in time, and through a restart.

use std::time::Duration;

use e2e::appliance::{Appliance, Connection, Error, Key};

use crate::bed::{Bed, until};

async fn newcomer(bed: &Bed) -> Result<Connection, Error> {
    Appliance::builder(Key::generate()).open(bed.addr).await.map(|(connection, _)| connection)
}

async fn pairs(connection: &mut Connection, code: &str) -> (bool, String) {
    let answer = connection.pair(code).await.unwrap();
    (answer["success"].as_bool().unwrap(), answer["message"].as_str().unwrap().to_owned())
}

/// The error frame a restricted connection gets when the window closes, and then its end.
async fn sent_away(mut connection: Connection) {
    let goodbye = connection.read_frame().await.unwrap();
    assert_eq!(goodbye["payload"]["code"], 403, "{goodbye}");
    let closed = connection.read_raw_until_closed().await;
    assert_eq!((closed.how, closed.unread.len()), (e2e::appliance::Ending::CloseNotify, 0));
}

/// A3
#[tokio::test]
async fn a_used_code_is_refused_from_then_on() {
    let bed = Bed::start().await;
    let code = bed.pair();
    let (mut first, second) = (newcomer(&bed).await.unwrap(), newcomer(&bed).await.unwrap());
    assert!(pairs(&mut first, &code).await.0);
    // Whoever waits beside it is sent away, and nobody comes in any more.
    sent_away(second).await;
    assert_eq!(newcomer(&bed).await.unwrap_err().code(), Some(403));
    assert!(bed.status()["pairing"].is_null());

    // In the next window it is a wrong code like any other; the new one works, and who is paired needs none.
    let next = bed.pair();
    let mut third = newcomer(&bed).await.unwrap();
    let (success, message) = pairs(&mut third, &code).await;
    assert!(!success && message.contains("wrong"), "{message}");
    let (success, message) = pairs(&mut first, &next).await;
    assert!(success && message.contains("not used"), "{message}");
    assert!(pairs(&mut third, &next).await.0);
    assert_eq!(bed.path("peers").read_dir().unwrap().count(), 2);
}

/// A3
#[tokio::test]
async fn an_expired_code_is_refused_early_and_late() {
    let bed = Bed::start().await;
    let code = bed.json(&["pair", "--ttl", "2s", "--json"])["code"].as_str().unwrap().to_owned();
    let waits = newcomer(&bed).await;
    // On a machine that needed more than 2 s for this, the window is over already: the same answer, earlier.
    match waits {
        Ok(connection) => sent_away(connection).await,
        Err(late) => assert_eq!(late.code(), Some(403), "{late}"),
    }
    assert_eq!(newcomer(&bed).await.unwrap_err().code(), Some(403));
    assert!(!bed.path("pairing.json").exists() || bed.status()["pairing"].is_null());

    let next = bed.pair();
    let mut connection = newcomer(&bed).await.unwrap();
    let (success, message) = pairs(&mut connection, &code).await;
    assert!(!success && message.contains("wrong"), "{message}");
    assert!(pairs(&mut connection, &next).await.0);
}

/// A3
#[tokio::test]
async fn a_restart_inside_the_window_keeps_the_code_and_its_end() {
    let mut bed = Bed::start().await;
    let code = bed.pair();
    let expires = bed.status()["pairing"]["expires_at"].clone();
    let mut wrong = newcomer(&bed).await.unwrap();
    assert!(!pairs(&mut wrong, "00000000").await.0);
    drop(wrong);
    // Counts follow the attempt; a kill in that instant would lose this one.
    let counted =
        || std::fs::read_to_string(bed.path("pairing.json")).ok()?.contains("\"wrong\":1").then_some(());
    until(counted, "the wrong code on disk").await;

    bed.daemon.kill_9().await.unwrap();
    bed.restart().await;
    assert_eq!(bed.status()["pairing"]["expires_at"], expires);
    bed.daemon.sigterm().unwrap();
    assert_eq!(bed.daemon.wait(Duration::from_secs(30)).await.unwrap().code(), Some(0));
    bed.restart().await;
    let status = bed.status();
    assert_eq!(status["pairing"]["expires_at"], expires);
    assert_eq!(status["pairing"]["wrong"], 1, "and the count of wrong codes");
    let mut connection = newcomer(&bed).await.unwrap();
    assert!(pairs(&mut connection, &code).await.0);

    // Used is used, also after another restart.
    bed.daemon.kill_9().await.unwrap();
    bed.restart().await;
    assert!(bed.status()["pairing"].is_null());
    assert_eq!(newcomer(&bed).await.unwrap_err().code(), Some(403));
}
