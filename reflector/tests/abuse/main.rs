//! What a hostile or broken peer gets to hear, row by row, and that a good peer is served meanwhile.
//!
//! Every row runs against the whole program as a process. Rows about patience are in `daemon::tests`, where the test
//! holds the clock; rows about crowds are in `server::places` and beside the other tests of the whole program.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "../support/bed.rs"]
#[allow(dead_code, reason = "shared by all tests of the whole program")]
mod bed;

mod frames;
mod manners;
mod memory;
mod parameters;
mod rights;
mod speed;
mod strays;
mod tls;

use std::net::IpAddr;

use e2e::appliance::{Appliance, Closed, Connection, Ending, Key, envelope, frame};
use serde_json::{Value, json};

use bed::{Bed, until};

/// An authorised peer whose business has nothing to do with the abuse, at an address of its own.
struct Good {
    appliance: Appliance,
    addr: std::net::SocketAddr,
}

impl Good {
    fn of(bed: &Bed) -> Self {
        let key = Key::generate();
        bed.add(&key, "good");
        Self { appliance: Appliance::builder(key).bind(loopback(200)), addr: bed.addr }
    }

    /// A new connection, from TCP to an answer only a known peer gets.
    async fn gets_through(&self) {
        let (mut connection, _) = self.appliance.open(self.addr).await.unwrap();
        connection.status().await.unwrap();
    }

    /// The good peer gets through while `abuse` is under way, and again when it is over.
    async fn during<T>(&self, abuse: impl Future<Output = T>) -> T {
        let (out, ()) = tokio::join!(abuse, self.gets_through());
        self.gets_through().await;
        out
    }
}

/// On Linux all of 127.0.0.0/8 is ours; each row comes from an address of its own.
fn loopback(n: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, n])
}

/// A frame around any JSON.
fn framed(request_id: &str, payload: &Value) -> Vec<u8> {
    frame::encode(&envelope(request_id, payload))
}

/// A `get_status` of exactly so many bytes: JSON may end in spaces.
fn status_of_size(request_id: &str, bytes: usize) -> Vec<u8> {
    padded(envelope(request_id, &json!({ "type": "get_status" })), bytes)
}

fn padded(mut payload: Vec<u8>, bytes: usize) -> Vec<u8> {
    payload.resize(bytes, b' ');
    frame::encode(&payload)
}

fn error(request_id: &str, code: u32, message: &str) -> Value {
    json!({ "request_id": request_id, "payload": { "type": "error", "code": code, "message": message } })
}

/// Reads the last frame and the end of the connection.
async fn last_words(connection: &mut Connection) -> Value {
    let last = connection.read_frame().await.unwrap();
    closes(connection).await;
    last
}

/// The server closes, and says nothing more.
async fn closes(connection: &mut Connection) {
    let Closed { how, unread } = connection.read_raw_until_closed().await;
    // Who is still sending into a closed socket sees a reset.
    assert!(matches!(how, Ending::CloseNotify | Ending::Reset), "{how:?}");
    assert_eq!(String::from_utf8_lossy(&unread), "");
}

/// Counters are bumped by another process, a moment after its answer.
async fn until_metric(bed: &Bed, series: &str, expected: f64) {
    let deadline = tokio::time::Instant::now() + bed::PATIENCE;
    loop {
        let value = bed.metric(series).await;
        // Counts are small and exact.
        if (value - expected).abs() < 0.5 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{series} is {value}, not {expected}");
    }
}

/// Waits for an audit line `connection_denied` with this reason.
async fn denied(bed: &Bed, reason: &str) -> Value {
    bed.audited("connection_denied", |line| line["reason"] == reason).await
}
