//! What the self-test says: ten checks, what they allow, a verdict. The JSON names are stable API.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// Exit code when a check broke through a bug of ours, and for whoever cannot print the report.
pub const EXIT_INTERNAL: u8 = 1;
/// Exit code of [`Verdict::NotReady`].
const EXIT_NOT_READY: u8 = 2;

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Always `reflector.selftest/1`, which only gains keys.
    pub schema: &'static str,
    /// In one word.
    pub verdict: Verdict,
    /// What a throughput test may reach. Left out unless both loopback and link speed are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_max_mbps: Option<u64>,
    /// Throughput in a tunnel over throughput without one, on loopback: the processor's price of one port. Left out when
    /// either was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel_tax: Option<f64>,
    /// The checks behind the verdict; when `READY`, the one that sets the estimate.
    pub limited_by: Vec<Component>,
    /// What this host can do.
    pub capabilities: Vec<Capability>,
    /// The ten, always in the same order.
    pub checks: Vec<Check>,
    /// A check broke through a bug of ours.
    #[serde(skip)]
    pub internal_error: bool,
}

impl Report {
    /// What `reflector self-test` exits with: 0 when tests can be served, degraded or not; 2 when not; 1 when a check
    /// itself is broken.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            _ if self.internal_error => EXIT_INTERNAL,
            Verdict::NotReady => EXIT_NOT_READY,
            Verdict::Ready | Verdict::ReadyLimited | Verdict::Degraded => 0,
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub component: Component,
    /// How it stands.
    pub status: Status,
    /// What was found, for a person.
    pub details: String,
    /// What to do about it. Empty when, and only when, the status is `pass`.
    pub remediation: String,
    /// What was found, for a program: numbers with the unit in the key. Left out when nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Value>,
}

impl Check {
    pub(super) fn pass(component: Component, details: String) -> Self {
        Self { component, status: Status::Pass, details, remediation: String::new(), measured: None }
    }

    pub(super) fn not_ok(component: Component, status: Status, details: String, remediation: &str) -> Self {
        Self { component, status, details, remediation: remediation.to_owned(), measured: None }
    }

    pub(super) fn with(self, measured: Value) -> Self {
        Self { measured: Some(measured), ..self }
    }
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Pass,
    /// Tests run, with a limit.
    Warn,
    /// Tests do not run, or their record cannot be kept.
    Fail,
    /// Could not be found out. Never counts as a failure.
    Unknown,
}

impl Status {
    /// The name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// What is checked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`as_str` spells each out")]
pub enum Component {
    Cpu,
    CpuFeatures,
    Memory,
    Nic,
    Engine,
    Loopback,
    Disk,
    Ed25519,
    Clock,
    Descriptors,
}

impl Component {
    /// The name people and programs read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::CpuFeatures => "CPU features",
            Self::Memory => "Memory",
            Self::Nic => "NIC speed",
            Self::Engine => "iperf3 engine",
            Self::Loopback => "Loopback throughput",
            Self::Disk => "Disk",
            Self::Ed25519 => "Ed25519",
            Self::Clock => "Clock",
            Self::Descriptors => "File descriptors",
        }
    }
}

/// Something a reflector is wanted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    /// This host can. `null`: could not be found out.
    pub available: Option<bool>,
}

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as it should be: gigabit tests run and their numbers can be trusted.
    Ready,
    /// Every kind of test runs, but below a gigabit, or a gigabit could not be shown.
    ReadyLimited,
    /// Tests run, but something a reflector promises is missing.
    Degraded,
    /// Tests do not run.
    NotReady,
}

impl Verdict {
    /// Every verdict, best first.
    pub const ALL: [Self; 4] = [Self::Ready, Self::ReadyLimited, Self::Degraded, Self::NotReady];

    /// The name as a label of a metric.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::ReadyLimited => "ready_limited",
            Self::Degraded => "degraded",
            Self::NotReady => "not_ready",
        }
    }

    /// The name people and programs read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::ReadyLimited => "READY (limited)",
            Self::Degraded => "DEGRADED",
            Self::NotReady => "NOT READY",
        }
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
