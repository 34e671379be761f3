//! What a plan takes of time, tests and bytes, next to what is left. Pure.

use std::fmt;

use super::{Direction, IDLE_ECHO_SECONDS, Phase};
use crate::link::message::ServerHello;
use crate::said;

/// TCP takes what the path gives, which nobody knows before: the estimate is said for this rate.
const ASSUMED_BITS: u64 = 1_000_000_000;
/// Grants and last exchanges of a phase.
const OVERHEAD_SECONDS: u64 = 1;

/// An estimate, and the budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// All phases, roughly.
    pub seconds: u64,
    /// How many of the hour's tests it takes.
    pub tests: u32,
    /// How many an hour has.
    pub tests_an_hour: Option<u32>,
    /// Exact for UDP, at an assumed rate for TCP.
    pub bytes: u64,
    /// TCP: it may be more or less.
    pub assumed: bool,
    /// What is left of the day; `None`: unlimited, or nobody counts.
    pub remaining: Option<u64>,
}

impl Cost {
    /// Adds phases up.
    pub fn of(phases: &[Phase], hello: Option<&ServerHello>) -> Self {
        let seconds = phases.iter().map(|phase| {
            phase.seconds + OVERHEAD_SECONDS + if phase.echo_idle { IDLE_ECHO_SECONDS } else { 0 }
        });
        Self {
            seconds: seconds.sum(),
            tests: tests(phases),
            tests_an_hour: hello.map(|hello| hello.policy_summary.max_tests_per_hour),
            bytes: phases.iter().map(bytes).fold(0, u64::saturating_add),
            assumed: phases.iter().any(|phase| phase.rate.is_none()),
            remaining: hello.and_then(|hello| hello.bytes_remaining),
        }
    }

    /// What to do when the budget will not do.
    pub fn warning(&self) -> Option<String> {
        let remaining = self.remaining.filter(|remaining| *remaining < self.bytes)?;
        let (left, needed) = (said::bytes(remaining), said::bytes(self.bytes));
        Some(if self.assumed {
            format!(
                "{left} are left today, which 1 Gbit/s would use up ({needed}): the test is cut where they end; a smaller -t takes less"
            )
        } else {
            format!(
                "{left} are left today and this takes {needed}: the test is cut where they end; lower the rate or -t"
            )
        })
    }
}

/// A direction right after the other is the same test, once.
fn tests(phases: &[Phase]) -> u32 {
    let mut count: u32 = 0;
    let mut pairs_with: Option<Direction> = None;
    for phase in phases {
        let other = match phase.direction {
            Direction::Down => Some(Direction::Up),
            Direction::Up => Some(Direction::Down),
            Direction::Bidir => None,
        };
        if pairs_with == Some(phase.direction) {
            pairs_with = None;
        } else {
            count = count.saturating_add(1);
            pairs_with = other;
        }
    }
    count
}

fn bytes(phase: &Phase) -> u64 {
    let both: u64 = if phase.direction == Direction::Bidir { 2 } else { 1 };
    let rate = phase.rate.unwrap_or(ASSUMED_BITS);
    rate.saturating_mul(phase.seconds).saturating_mul(both) / 8
}

impl fmt::Display for Cost {
    /// What is known first: time, tests, bytes that a rate sets. What TCP will move, nobody knows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "about {} s", self.seconds)?;
        if let Some(hour) = self.tests_an_hour {
            let plural = if self.tests == 1 { "" } else { "s" };
            write!(f, ", {} test{plural} of the {hour} an hour", self.tests)?;
        }
        let bytes = said::bytes(self.bytes);
        if self.assumed {
            write!(f, ", as many bytes as the path carries ({bytes} if it is 1 Gbit/s)")?;
        } else {
            write!(f, ", {bytes}")?;
        }
        match self.remaining {
            Some(remaining) if self.assumed => {
                write!(f, ", at most the {} left today", said::bytes(remaining))
            }
            Some(remaining) => write!(f, "; {} left today", said::bytes(remaining)),
            None if self.tests_an_hour.is_some() => f.write_str("; no byte limit"),
            None => Ok(()),
        }
    }
}
