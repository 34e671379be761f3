//! A throughput test as the client of iperf3: against our engine or a stock server, direct or through a tunnel.
//!
//! In: parameters, and a [`Carrier`] that opens connections. Out: an [`Outcome`] with what each stream moved every
//! 100 ms, both sides' numbers, and how it ended. `series` and `ending` decide; `control` and `driver` do the IO.

mod control;
mod ending;
mod series;

use std::io;

use crate::engine::iperf::State;
use crate::engine::iperf::reader::ReaderError;

pub use control::Duplex;
pub use ending::Ending;
pub use series::{STEP, Series, Step};

/// Why there is no outcome at all.
#[derive(Debug, thiserror::Error)]
pub enum ThroughputError {
    /// The port cannot be reached: direct data may be blocked where the control connection is not.
    #[error("reach the data port of the server")]
    Unreachable(#[source] io::Error),
    /// A stream could not be opened although the control connection was.
    #[error("open a data stream")]
    Stream(#[source] io::Error),
    /// The control connection of the test broke.
    #[error("talk to the server about the test")]
    Control(#[source] io::Error),
    /// It sent what iperf3 never sends.
    #[error("understand the server: is it an iperf3 server?")]
    Unreadable(#[source] ReaderError),
    /// A state out of turn.
    #[error("the server said {got:?} where {expected:?} was due: is it an iperf3 server?")]
    State {
        /// What was due.
        expected: State,
        /// What came.
        got: State,
    },
    /// Nothing came.
    #[error("the server said nothing for {seconds} s where {expected:?} was due")]
    Silent {
        /// What was due.
        expected: State,
        /// How long we waited.
        seconds: u64,
    },
    /// The kernel gave no random bytes.
    #[error("make a cookie")]
    Random(#[source] getrandom::Error),
}
