//! A throughput test as the client of iperf3: against our engine or a stock server, direct or through a tunnel.
//!
//! In: parameters, and a [`Carrier`] that opens connections. Out: an [`Outcome`] with what each stream moved every
//! 100 ms, both sides' numbers, and how it ended. `series` and `ending` decide; `control` and `driver` do the IO.

mod carrier;
mod control;
mod driver;
mod ending;
mod flow;
mod series;
mod streams;

use std::io;
use std::net::IpAddr;

use crate::engine::evidence::Evidence;
use crate::engine::iperf::reader::ReaderError;
use crate::engine::iperf::results::ResultsError;
use crate::engine::iperf::{Parameters, Results, State};

pub use carrier::{Carrier, Direct, Opening};
pub use control::Duplex;
pub use driver::{Stage, Tick, Watch, run};
pub use ending::Ending;
pub use flow::{Flow, Way};
pub use series::{STEP, Series, Step};

/// One test, as it is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// As they are sent.
    pub parameters: Parameters,
    /// Our address, whose interface the evidence is about.
    pub local: Option<IpAddr>,
    /// The server throws away what it receives without copying it, as ours does: sending by reference then pays.
    pub peer_discards: bool,
}

/// What a test came to.
pub struct Outcome {
    /// Why it is over.
    pub ending: Ending,
    /// Bytes in each block that was asked for: with UDP, the payload of a datagram.
    pub block: u32,
    /// Up before down; none when it ended before data could flow.
    pub flows: Vec<Flow>,
    /// The server's numbers, if they were exchanged.
    pub remote: Option<Results>,
    /// What this host saw meanwhile.
    pub evidence: Evidence,
    /// What broke, when it did: what was measured before stands.
    pub problem: Option<ThroughputError>,
}

impl Outcome {
    fn nothing(ending: Ending) -> Self {
        let (flows, evidence) = (Vec::new(), Evidence::default());
        Self { ending, block: 0, flows, remote: None, evidence, problem: None }
    }
}

/// Why there is no outcome at all.
#[derive(Debug, thiserror::Error)]
pub enum ThroughputError {
    /// The port cannot be reached: direct data may be blocked where the control connection is not.
    #[error("reach the data port of the server")]
    Unreachable(#[source] io::Error),
    /// A stream could not be opened although the control connection was.
    #[error("open a data stream")]
    Stream(#[source] io::Error),
    /// Echo beside the test could not be started.
    #[error("open a socket for echo")]
    Echo(#[source] io::Error),
    /// The control connection of the test broke.
    #[error("talk to the server about the test")]
    Control(#[source] io::Error),
    /// It sent what iperf3 never sends.
    #[error("understand the server: is it an iperf3 server?")]
    Unreadable(#[source] ReaderError),
    /// Its results are none.
    #[error("understand the results of the server")]
    Results(#[source] ResultsError),
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
