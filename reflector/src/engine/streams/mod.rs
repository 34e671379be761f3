//! The threads that move a test's bytes: TCP and UDP, sinks and sources, for the server's engine and the measuring
//! client alike.
//!
//! In: connected sockets (or a tunnelled stream), what to do with each, a [`Purse`](super::purse::Purse) to lease bytes
//! from. Out: [`Counters`] anyone may read at any time and one [`End`] per stream. A stream is one std thread in
//! blocking calls of at most [`PATIENCE`]; it has no opinion on protocol, quota or how long a test lasts.

mod counters;
mod link;
mod pace;
mod run;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub use counters::{Counters, Snapshot};
pub use link::{Bytes, DatagramLink, Datagrams, Link};
pub use pace::Pace;
pub use stream::{End, Stream, Streams};
pub use tcp::{LARGEST_EXACT_BLOCK, TcpSink, TcpSource};
pub use udp::{UdpSink, UdpSource};

use std::time::Duration;

/// No call of a stream waits longer for its socket, so that a freeze is complete soon after. Wakes an idle stream ten
/// times a second, and only while a test runs.
pub const PATIENCE: Duration = Duration::from_millis(100);
