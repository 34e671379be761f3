//! The seam between a session and whatever moves its bytes.
//!
//! In: a request that admission has already granted in principle. Out: a listener that is up before the grant is
//! sent, and one [`Ended`] when the test is over. An engine decides nothing about quotas: it leases bytes from the
//! session's meter before each syscall, and stops when told.

pub mod iperf;
pub mod path;
pub mod purse;
pub mod streams;
pub mod sys;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use uuid::Uuid;

use crate::link::message::{Mode, Protocol, TestType};
use crate::reason::EndReason;
use crate::session::SessionControl;

/// A boxed future, so that engines can be objects.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a session is about to run. Validated: every field is inside the peer's limits.
#[derive(Debug, Clone)]
pub struct Prepare {
    /// The session.
    pub test_id: Uuid,
    /// The bearer token of the grant.
    pub token: Uuid,
    /// What to run.
    pub test_type: TestType,
    /// TCP or UDP (throughput only).
    pub protocol: Protocol,
    /// Parallel streams.
    pub streams: u32,
    /// The reflector sends.
    pub reverse: bool,
    /// Granted length.
    pub duration: Duration,
    /// Only this address is served (IPv4-mapped already normalised).
    pub peer_addr: IpAddr,
    /// Address of the control connection on our side: data listens here.
    pub local_addr: IpAddr,
    /// Echo packets per second.
    pub max_echo_pps: u32,
    /// Bits per second, if capped.
    pub max_rate: Option<u64>,
}

/// Why no listener could be put up.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No port, descriptor or memory: the peer is told `busy` (or `resource_exhausted`).
    #[error("no resources for another test: {0}")]
    Exhausted(String),
    /// This build or configuration cannot run it: the peer is told `invalid_params` and why.
    #[error("{0}")]
    Unsupported(String),
}

/// One way of testing. Lives as long as the process.
pub trait Engine: Send + Sync {
    /// Which requests it serves.
    fn test_type(&self) -> TestType;
    /// Puts the listener up. Dropping the result before `run` frees everything.
    fn prepare(&self, what: Prepare) -> BoxFuture<Result<Box<dyn Prepared>, PrepareError>>;
}

/// A listener that is up and waits for its one test.
pub trait Prepared: Send {
    /// The port to put in the grant. Never 0.
    fn port(&self) -> u16;
    /// How data flows.
    fn mode(&self) -> Mode;
    /// Runs the test to its end. Must return soon after `control.stopped()` resolves; dropping the future
    /// frees port, sockets and threads.
    fn run(self: Box<Self>, control: SessionControl) -> BoxFuture<Ended>;
}

/// How a test ended. Bytes are in the meter, not here: they are counted where they move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Typed reason.
    pub reason: EndReason,
    /// First to last byte.
    pub duration: Duration,
}
