//! What is sampled on this host while a test runs, on the reflector's side and on the client's alike, and what it says.
//!
//! In: files under `/proc` and `/sys`, and `TCP_INFO` of the streams, read only while a session runs. Out: [`Evidence`],
//! and from the evidence of both ends a [`Limit`](limit::Limit). Parsers and [`limit`] are pure, readers are thin. What
//! cannot be read is absent: a sandbox may hide any of it, and a zero would be a claim.

pub mod clock;
pub mod cpu;
pub mod limit;
pub mod nic;
mod read;
mod real;
mod sampler;
pub mod tcp;
pub mod thermal;

use serde::{Deserialize, Serialize};

pub use real::Real;
pub(crate) use real::float;
pub use sampler::{Sampler, Watch};

/// What one end saw during one run. `session_result` carries the reflector's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of the TCP streams that ran here, bounded in number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp_info: Vec<tcp::Stream>,
    /// Cores, threads, cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<cpu::CpuUse>,
    /// The interface that carried the test, and what this host dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nic: Option<nic::NicUse>,
    /// Whether heat or a weak power supply slowed the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thermal: Option<thermal::Thermal>,
    /// How far the wall clock can be trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<clock::ClockState>,
}

/// What an end that was not looked at saw.
pub static NOTHING: Evidence =
    Evidence { tcp_info: Vec::new(), cpu: None, nic: None, thermal: None, clock: None };
