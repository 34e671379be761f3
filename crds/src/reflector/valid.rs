//! What comes out of validation: values that need no further checks, with the defaults filled in.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::quotas::ValidQuotas;

use super::network::NetworkMode;
use super::spec::{Approval, OnFailure};
use super::window::WindowEffect;

/// How long known peers are served without the API server when nobody says otherwise.
pub const DEFAULT_OFFLINE_GRACE: Duration = Duration::from_secs(86_400);
/// Longest lease on the last accepted policy: a revocation must not be missed for more than a month.
pub const MAX_OFFLINE_GRACE: Duration = Duration::from_secs(30 * 86_400);
/// Longest window; a schedule that repeats weekly covers the rest.
pub const MAX_WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// Size of a claim when nobody says otherwise.
pub const DEFAULT_STORAGE: &str = "64Mi";
/// Entry of a Secret that holds a key when nobody says otherwise.
pub const DEFAULT_KEY_ENTRY: &str = "identity.ed25519";

/// The spec of a Reflector that needs no further checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidReflector {
    /// Where it listens and how data flows.
    pub network: ValidNetwork,
    /// `spec.identity.rotation`
    pub rotation: u32,
    /// `spec.identity.retain`
    pub retain: bool,
    /// `spec.access.approval`; never unknown.
    pub approval: Approval,
    /// `spec.access.offlineGrace`
    pub offline_grace: Duration,
    /// Limits of every peer, as far as they are set.
    pub quotas: ValidQuotas,
    /// When tests may or may not run.
    pub windows: Vec<ValidWindow>,
    /// `spec.suspend`
    pub suspended: bool,
    /// `spec.selfTest.schedule`
    pub self_test: Option<String>,
    /// `spec.audit.onFailure`; never unknown.
    pub on_audit_failure: OnFailure,
}

/// Where it listens and how data flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidNetwork {
    /// Never unknown.
    pub mode: NetworkMode,
    /// The one port.
    pub port: i32,
    /// Ports for data; none: everything through the one port.
    pub data_ports: Option<RangeInclusive<i32>>,
    /// Whether iperf3 may use the one port.
    pub plain_on_control_port: bool,
    /// Health, readiness and metrics.
    pub health_port: i32,
    /// Whether the pod has the node's network.
    pub host_network: bool,
    /// What appliances should use instead of the node's addresses.
    pub advertise: Vec<String>,
}

/// A time that returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidWindow {
    /// Five fields.
    pub schedule: String,
    /// How long it lasts.
    pub duration: Duration,
    /// IANA name.
    pub time_zone: String,
    /// Never unknown.
    pub effect: WindowEffect,
}
