//! The throughput engine: an iperf3 server for one granted test, in process.
//!
//! In: a grant and where its data may come from. Out: a port that serves the granted peer alone, exactly one test, and one
//! [`Ended`](super::Ended) with what was measured. Files without IO decide (`ahead`, `caps`, `plan`, `freeze`, `rate`, `stall`,
//! `report`); one task per test talks to the client; the bytes move in threads of [`streams`](super::streams). Nothing of
//! it outlives the session.

mod ahead;
mod arrivals;
mod budget;
mod caps;
mod control;
mod engine;
mod entrance;
mod flows;
mod freeze;
mod listen;
mod lobby;
mod opening;
mod plan;
mod rate;
mod report;
mod running;
mod sink;
mod stall;
mod test;

pub use engine::Throughput;
