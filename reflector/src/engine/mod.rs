//! The seam between a session and whatever moves its bytes.
//!
//! In: a request that admission has already granted in principle. Out: a listener that is up before the grant is
//! sent, and one [`Ended`] when the test is over. An engine decides nothing about quotas: it leases bytes from the
//! session's meter before each syscall, and stops when told.

pub mod door;
pub mod echo;
pub mod evidence;
pub mod iperf;
pub mod measured;
pub mod path;
pub mod purse;
pub mod secrets;
pub mod site;
pub mod streams;
pub mod sys;
pub mod tcp_info;
pub mod throughput;
pub mod tunnel;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use uuid::Uuid;

use self::measured::Measured;
use self::secrets::Secrets;
use crate::link::features::Features;
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
    /// Whose session it is: data connections of anybody else are refused.
    pub peer: EndpointId,
    /// What the control connection negotiated.
    pub features: Features,
    /// Keys that only the two ends of the control connection know.
    pub secrets: Arc<Secrets>,
    /// Where its data flows.
    pub placement: Placement,
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
    /// The peer may run UDP echo: a throughput test then also answers keyed echo.
    pub echo_allowed: bool,
    /// Echo packets per second.
    pub max_echo_pps: u32,
    /// Bits per second, if capped.
    pub max_rate: Option<u64>,
}

/// Where the data of a session flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On a port of its own, out of the configured range.
    DataPort,
    /// In plain on the control port: the one session of its source address there.
    ControlPort,
    /// In TLS on the control port.
    Tunneled,
}

impl Placement {
    /// As a grant names it.
    pub const fn mode(self) -> Mode {
        match self {
            Self::DataPort | Self::ControlPort => Mode::DirectEphemeral,
            Self::Tunneled => Mode::Tunneled,
        }
    }
}

/// Why no listener could be put up.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No port, descriptor or memory: the peer is told `busy` (or `resource_exhausted`).
    #[error("no resources for another test: {0}")]
    Exhausted(String),
    /// Another session is in the way and ends by itself: the peer is told `busy` and when to come back.
    #[error("{0}")]
    Occupied(String),
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
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Typed reason.
    pub reason: EndReason,
    /// First to last byte.
    pub duration: Duration,
    /// What was seen while it ran; absent when nothing did.
    pub measured: Option<Arc<Measured>>,
}

impl Ended {
    /// An end with nothing to tell but its reason and length.
    pub const fn plain(reason: EndReason, duration: Duration) -> Self {
        Self { reason, duration, measured: None }
    }
}
