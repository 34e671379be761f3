//! What changes while the reflector runs: budgets used up and raised, manifests, their folder, our own key; and what
//! the audit log says of all of it. Each scenario drives the whole program.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../support/bed.rs"]
#[allow(dead_code, reason = "shared by all tests of the whole program")]
mod bed;

mod events;
mod manifests;
mod numbers;
mod quota;
mod rotation;
mod source;
mod stop;

use std::time::Duration;

use e2e::appliance::data::{Limits, Moved, Running, Target, transfer};
use e2e::appliance::{Appliance, Connection, Direction, Error, Grant, Key, Test};
use serde_json::Value;

use bed::{Bed, PATIENCE, until};

/// A day that ends in the middle would reset what is compared: whoever comes just before midnight waits for it.
async fn well_before_midnight() {
    let left = 86_400 - jiff::Timestamp::now().as_second().rem_euclid(86_400);
    if left < 60 {
        tokio::time::sleep(Duration::from_secs(u64::try_from(left).unwrap() + 1)).await;
    }
}

/// Connects and says hello.
async fn open(bed: &Bed, key: &Key) -> Result<(Connection, Value), Error> {
    Appliance::builder(key.clone()).open(bed.addr).await
}

/// The message of an `error` 403.
fn forbidden<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Refused { code: 403, message }) => message,
        other => panic!("{other:?}"),
    }
}

/// Tries until somebody is let in.
async fn let_in(bed: &Bed, key: &Key) -> Connection {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match open(bed, key).await {
            Ok((connection, _)) => return connection,
            Err(error) if error.code() == Some(403) && tokio::time::Instant::now() < deadline => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// A download without limits of its own, running.
async fn running_download(control: &mut Connection) -> (Grant, Running<Moved>) {
    let grant = control.request(&Test::throughput(60).download()).await.unwrap().granted().unwrap();
    let data = transfer(&Target::from(&grant), Direction::Download, Limits::default());
    until(|| (data.bytes() > 0).then_some(()), "traffic").await;
    (grant, data)
}

/// The audit line of a session's end.
async fn end_of(bed: &Bed, grant: &Grant) -> Value {
    bed.audited("session_completed", |line| line["test_id"] == grant.test_id.as_str()).await
}

/// Waits until `status` says so.
async fn status_until(bed: &Bed, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(|| Some(bed.status()).filter(|status| holds(status)), what).await
}

/// A counter or gauge that holds whole numbers.
async fn number(bed: &Bed, series: &str) -> u64 {
    format!("{:.0}", bed.metric(series).await).parse().unwrap()
}
