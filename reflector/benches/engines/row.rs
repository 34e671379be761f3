//! What a row of the table is: two contenders, and what their numbers are held to.

use anyhow::Result;

use super::contenders::{Contender, Place, Sample};

pub(crate) use super::floor::Bound;

/// Makes a contender ready, or says what is missing.
pub(crate) type Make = Box<dyn FnOnce(&Place) -> Result<Box<dyn Contender>>>;

/// A contest.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) peer: &'static str,
    /// Of the rate.
    pub(crate) unit: &'static str,
    pub(crate) ours: Make,
    pub(crate) theirs: Make,
    pub(crate) targets: Vec<Target>,
    /// What a reader must know to read the numbers right.
    pub(crate) note: Option<&'static str>,
}

/// What is held to a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    pub(crate) quantity: Quantity,
    pub(crate) bound: Bound,
}

/// What a sample holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    Rate,
    Cpu,
    Delay,
    Memory,
    /// Datagrams that did not arrive.
    Loss,
}

impl Quantity {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Cpu => "CPU",
            Self::Delay => "p50",
            Self::Memory => "memory",
            Self::Loss => "loss",
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Rate => "",
            Self::Cpu => "s/G",
            Self::Delay => "µs",
            Self::Memory => "MiB PSS",
            Self::Loss => "datagrams",
        }
    }

    /// What we promise as such and not beside others.
    pub(crate) const fn is_ours_alone(self) -> bool {
        matches!(self, Self::Memory | Self::Loss)
    }

    pub(crate) fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Rate => sample.rate,
            Self::Cpu => sample.cpu,
            Self::Delay => sample.delay,
            Self::Memory => sample.memory,
            Self::Loss => sample.lost,
        }
    }
}
