//! What will be run and what it will cost, before anything is asked of the reflector.
//!
//! In: what a person wants, and what the reflector said of our limits. Out: phases in their order, an estimate next to
//! what is left of the day, and notes where the two differ. Pure.

mod cost;

use std::fmt;

pub use cost::Cost;

use crate::link::features::{Feature, Features};
use crate::link::message::{PolicySummary, Protocol, ServerHello, TestType};
use crate::said;

/// Seconds of one phase unless told otherwise: TCP has left slow start on any path long before.
pub const DEFAULT_SECONDS: u64 = 10;
/// TCP streams unless told otherwise: what appliances use, and enough to fill most paths.
pub const DEFAULT_STREAMS: u32 = 4;
/// Seconds of each phase of a comparison.
pub const COMPARE_SECONDS: u64 = 5;
/// Pairs of a comparison.
const COMPARE_PAIRS: u32 = 2;
/// Seconds of echo on the idle path.
pub const IDLE_ECHO_SECONDS: u64 = 2;

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Which way, in this order. Empty: down, then up.
    pub directions: Vec<Direction>,
    /// UDP at this rate, bits a second in all, instead of TCP.
    pub udp: Option<u64>,
    /// Seconds of each phase.
    pub seconds: Option<u64>,
    /// Streams of each direction.
    pub streams: Option<u32>,
    /// Through the tunnel only.
    pub tunnel: bool,
    /// Direct and tunneled in turn, instead of the usual phases.
    pub compare: bool,
}

/// Which way data goes, seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the reflector to us.
    Down,
    /// From us to the reflector.
    Up,
    /// Both at once.
    Bidir,
}

/// How data may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Direct, and tunneled if the port cannot be reached.
    PreferDirect,
    /// Direct or not at all.
    Direct,
    /// Tunneled.
    Tunneled,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// In the result: `down`, `up`, `bidir`, `udp_down`, …
    pub name: &'static str,
    /// Which way.
    pub direction: Direction,
    /// On what.
    pub protocol: Protocol,
    /// For how long.
    pub seconds: u64,
    /// Streams of each direction.
    pub streams: u32,
    /// UDP: bits a second of each direction.
    pub rate: Option<u64>,
    /// How.
    pub route: Route,
    /// Echo before the load.
    pub echo_idle: bool,
    /// Echo during the load.
    pub echo_loaded: bool,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub phases: Vec<Phase>,
    /// What it takes.
    pub cost: Cost,
    /// Where we do less than was wished, and why.
    pub notes: Vec<String>,
}

/// Why nothing can be planned: the reflector would refuse all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Not allowed to us.
    #[error("this reflector lets us run {allowed}, no throughput tests: ask its owner")]
    NotAllowed {
        /// What it does let us run.
        allowed: String,
    },
    /// No tunnel there.
    #[error("this reflector cannot tunnel: leave out --{option}, or ask its owner to update it")]
    NoTunnel {
        /// What asked for it.
        option: &'static str,
    },
    /// The day is used up.
    #[error("nothing is left of today's bytes: the budget is full again at 00:00 UTC")]
    NothingLeft,
}

/// What a server allows us, in the terms of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Of the reflector; `None`: a stock iperf3 server, which tells nothing.
    pub hello: Option<&'a ServerHello>,
    /// What both sides can do.
    pub features: Features,
}

/// Plans a run.
pub fn plan(wish: &Wish, limits: Limits<'_>) -> Result<Plan, PlanError> {
    let policy = limits.hello.map(|hello| &hello.policy_summary);
    may_run(wish, limits)?;
    let mut notes = Vec::new();
    let seconds = seconds(wish, policy, &mut notes);
    let echo = policy.is_some_and(|policy| policy.allowed_test_types.contains(&TestType::UdpEcho))
        && limits.features.has(Feature::EchoToken);
    let mut phases: Vec<Phase> = if wish.compare {
        compared(wish, seconds)
    } else {
        let route = if wish.tunnel { Route::Tunneled } else { Route::PreferDirect };
        let default = [Direction::Down, Direction::Up];
        let directions = if wish.directions.is_empty() { &default[..] } else { &wish.directions };
        directions.iter().map(|direction| phase(wish, *direction, seconds, route)).collect()
    };
    for phase in &mut phases {
        (phase.echo_idle, phase.echo_loaded) = (echo, echo);
    }
    let cost = Cost::of(&phases, limits.hello);
    if cost.remaining == Some(0) {
        return Err(PlanError::NothingLeft);
    }
    notes.extend(cost.warning());
    Ok(Plan { phases, cost, notes })
}

fn may_run(wish: &Wish, limits: Limits<'_>) -> Result<(), PlanError> {
    let option = if wish.compare { "compare" } else { "tunnel" };
    if (wish.compare || wish.tunnel) && !limits.features.has(Feature::Tunnel) {
        return Err(PlanError::NoTunnel { option });
    }
    let Some(hello) = limits.hello else { return Ok(()) };
    let allowed = &hello.policy_summary.allowed_test_types;
    if allowed.contains(&TestType::Throughput) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|test| test.as_str()).collect();
    let allowed = if names.is_empty() { "nothing".to_owned() } else { format!("only {}", names.join(", ")) };
    Err(PlanError::NotAllowed { allowed })
}

fn seconds(wish: &Wish, policy: Option<&PolicySummary>, notes: &mut Vec<String>) -> u64 {
    let default = if wish.compare { COMPARE_SECONDS } else { DEFAULT_SECONDS };
    let wished = wish.seconds.unwrap_or(default);
    match policy.map(|policy| policy.max_test_duration_sec) {
        Some(longest) if longest < wished => {
            notes.push(format!("a test may last {longest} s here, so each takes that instead of {wished} s"));
            longest
        }
        _ => wished,
    }
}

fn phase(wish: &Wish, direction: Direction, seconds: u64, route: Route) -> Phase {
    let udp = wish.udp.is_some();
    let name = match (udp, direction) {
        (false, Direction::Down) => "down",
        (false, Direction::Up) => "up",
        (false, Direction::Bidir) => "bidir",
        (true, Direction::Down) => "udp_down",
        (true, Direction::Up) => "udp_up",
        (true, Direction::Bidir) => "udp_bidir",
    };
    Phase {
        name,
        direction,
        protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
        seconds,
        streams: wish.streams.unwrap_or(if udp { 1 } else { DEFAULT_STREAMS }),
        rate: wish.udp,
        route,
        echo_idle: false,
        echo_loaded: false,
    }
}

/// Alternating, so that a path that changes meanwhile changes for both.
fn compared(wish: &Wish, seconds: u64) -> Vec<Phase> {
    let direction = wish.directions.first().copied().unwrap_or(Direction::Down);
    let pair = || {
        [("direct", Route::Direct), ("tunneled", Route::Tunneled)]
            .map(|(name, route)| Phase { name, ..phase(wish, direction, seconds, route) })
    };
    (0..COMPARE_PAIRS).flat_map(|_| pair()).collect()
}

impl Direction {
    /// As people say it.
    pub const fn said(self) -> &'static str {
        match self {
            Self::Down => "download",
            Self::Up => "upload",
            Self::Bidir => "both directions at once",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, phase) in self.phases.iter().enumerate() {
            write!(
                f,
                "{}{} {} s",
                if index == 0 { "" } else { ", " },
                phase.direction.said(),
                phase.seconds
            )?;
            match phase.route {
                Route::Tunneled => f.write_str(" tunneled")?,
                Route::Direct => f.write_str(" direct")?,
                Route::PreferDirect => {}
            }
        }
        if let Some(first) = self.phases.first() {
            let plural = if first.streams == 1 { "" } else { "s" };
            let on = match first.rate {
                Some(bits) => format!("UDP at {} Mbit/s", said::megabits(bits)),
                None => "TCP".to_owned(),
            };
            write!(f, " ({} stream{plural} of {on})", first.streams)?;
        }
        write!(f, ": {}", self.cost)
    }
}

#[cfg(test)]
mod tests;
