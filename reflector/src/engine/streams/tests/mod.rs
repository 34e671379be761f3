//! Pairs of streams over loopback.
#![expect(clippy::disallowed_methods, reason = "streams run in real time")]

mod tcp;
mod udp;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::engine::purse::{Limited, Purse, Unlimited};

/// Generous for a busy machine; what is awaited takes a tenth of a second.
const SOON: Duration = Duration::from_secs(10);

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn unlimited() -> Streams {
    Streams::new(Arc::new(Unlimited))
}

fn limited(bytes: u64) -> (Arc<Limited>, Streams) {
    let purse = Arc::new(Limited::new(bytes));
    (Arc::clone(&purse), Streams::new(purse))
}

async fn ended(streams: &Streams) {
    tokio::time::timeout(SOON, streams.all_ended()).await.expect("all streams end");
}

fn now() -> Instant {
    Instant::now()
}

/// Awaits a condition.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn total(streams: &Streams) -> u64 {
    streams.iter().map(|stream| stream.counters().bytes()).sum()
}
