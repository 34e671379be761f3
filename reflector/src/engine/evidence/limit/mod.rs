//! What kept a run from being faster. Pure.
//!
//! In: the facts of one run as both ends know them ([`Facts`]; the reflector alone fills in what it knows). Out: one
//! [`Limit`] with the numbers that show it. The rules are tried in the order of the documentation: the first that
//! matches is the limit, later ones are `also`, and without one it is `unknown`, never a guess.

mod facts;
mod rules;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Real;

pub use facts::{Direction, Facts, Granted, UdpFacts};
pub use rules::decide;

/// The answer for one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// Who or what limited the run.
    pub by: By,
    /// How.
    pub cause: Cause,
    /// Other limits that were reached too, in the order they are looked for.
    #[serde(default)]
    pub also: Vec<Also>,
    /// The numbers behind all of it, those of `by` first.
    #[serde(default)]
    pub evidence: Vec<Signal>,
}

/// A limit that was reached too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Also {
    /// Who or what.
    pub by: By,
    /// How.
    pub cause: Cause,
}

/// Who or what limited a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// A limit the reflector's owner set.
    Policy,
    /// The test itself did not ask for more.
    Application,
    /// The client's host, which sent.
    Sender,
    /// The client's host, which received; or either end's receive window.
    Receiver,
    /// The reflector's host.
    ReflectorHost,
    /// A network interface of either end.
    Nic,
    /// What is between the interfaces.
    Network,
    /// Nothing that was measured explains it.
    Unknown,
}

/// How a run was limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// `policy`: the granted time was over, or a maintenance window opened.
    Duration,
    /// `policy`: the byte limit.
    Quota,
    /// `policy` or `application`: the rate that is allowed, or that was asked for.
    Rate,
    /// `application`: the sender had nothing to send for part of the run.
    Idle,
    /// A processor was busy, held back by its cgroup or slowed down by heat.
    Cpu,
    /// The interface runs at its speed.
    Speed,
    /// The receiver's window was full.
    Window,
    /// The sender's buffer was too small.
    Buffer,
    /// Packets are too large for the path.
    Mtu,
    /// Packets were lost.
    Loss,
    /// Packets waited in a queue.
    Queue,
    /// Nothing that was measured explains it.
    Unknown,
}

/// One measured number and what it is held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Signal {
    /// What was measured, with its unit.
    pub signal: String,
    /// The measured number.
    pub value: Real,
    /// From here on it counts.
    pub threshold: Real,
    /// Where it was measured.
    pub side: Side,
}

/// Where a number was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Where the client runs.
    Local,
    /// Where the reflector, or the stock server, runs.
    Reflector,
    /// Between the two.
    Path,
}

macro_rules! names {
    ($type:ty { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// The name in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

names!(By {
    Policy => "policy",
    Application => "application",
    Sender => "sender",
    Receiver => "receiver",
    ReflectorHost => "reflector-host",
    Nic => "nic",
    Network => "network",
    Unknown => "unknown",
});
names!(Cause {
    Duration => "duration",
    Quota => "quota",
    Rate => "rate",
    Idle => "idle",
    Cpu => "cpu",
    Speed => "speed",
    Window => "window",
    Buffer => "buffer",
    Mtu => "mtu",
    Loss => "loss",
    Queue => "queue",
    Unknown => "unknown",
});
names!(Side {
    Local => "local",
    Reflector => "reflector",
    Path => "path",
});
