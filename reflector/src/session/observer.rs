//! What others learn about sessions: audit, metrics and status hang on one trait.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use uuid::Uuid;

use crate::engine::Ended;
use crate::engine::evidence::Real;
use crate::engine::evidence::limit::Limit;
use crate::engine::measured::Measured;
use crate::link::message::{Mode, SessionParams, TestType};
use crate::reason::EndReason;

use super::admission::Plan;
use super::denial::Denied;
use super::requester::ConnectionId;

/// A session, at its grant and at its end. The one record behind audit, metrics, status and the peer's result.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRecord {
    /// The session.
    pub test_id: Uuid,
    /// Who ran it.
    pub peer: EndpointId,
    /// The object that authorised it.
    pub peer_name: Arc<str>,
    /// From where.
    pub source: IpAddr,
    /// On which control connection.
    pub connection: ConnectionId,
    /// What was granted.
    pub plan: Plan,
    /// How data flowed.
    pub mode: Mode,
    /// The granted port.
    pub port: u16,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// Payload bytes, both directions.
    pub bytes: u64,
    /// Bytes a cut left unread in the kernel: charged to the day, not part of the result.
    pub unread_bytes: u64,
    /// How it ended; absent in `granted`.
    pub ended: Option<Ended>,
}

impl SessionRecord {
    /// Why it ended; a record without an end is our fault.
    pub fn reason(&self) -> EndReason {
        self.ended.as_ref().map_or(EndReason::Internal, |ended| ended.reason)
    }

    /// First to last byte.
    pub fn duration(&self) -> Duration {
        self.ended.as_ref().map_or(Duration::ZERO, |ended| ended.duration)
    }

    /// What the engine saw; absent when nothing did.
    pub fn measured(&self) -> Option<&Measured> {
        self.ended.as_ref()?.measured.as_deref()
    }

    /// What limited it, as far as this side can tell; throughput only.
    pub fn limit(&self) -> Option<&Limit> {
        self.measured()?.limit.as_ref()
    }

    /// Payload per second, by this side's count.
    pub fn mbps(&self) -> Option<Real> {
        Real::mbps(self.bytes, self.duration().as_secs_f64())
    }
}

/// A request that was denied.
#[derive(Debug, Clone)]
pub struct Denial<'a> {
    /// Who asked.
    pub peer: EndpointId,
    /// The object that authorises it.
    pub peer_name: &'a Arc<str>,
    /// From where.
    pub source: IpAddr,
    /// What for.
    pub test_type: TestType,
    /// With which parameters.
    pub params: &'a SessionParams,
    /// The answer.
    pub denied: &'a Denied,
}

/// Told about every grant, denial and end, exactly once each. Called on the session's own task: must not block.
pub trait Observer: Send + Sync {
    /// A session was granted; its grant is on disk and not yet sent.
    fn granted(&self, record: &SessionRecord);
    /// A request was denied.
    fn denied(&self, denial: &Denial<'_>);
    /// A session has ended; port and slot are free.
    fn ended(&self, record: &SessionRecord);
    /// True while sessions must be denied because they could not be audited.
    fn refuses(&self) -> bool {
        false
    }
}
