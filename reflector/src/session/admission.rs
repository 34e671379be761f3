//! Admission: one request against one picture of the reflector. Pure; the caller holds the lock.
//!
//! Order: parameters (they never become valid by waiting), then whether the reflector serves at all, windows, and
//! the five checks of link.md §5: concurrency, test type, cooldown, grants per hour, bytes per day.

use std::time::Duration;

use crate::access::policy::{Policy, Quotas};
use crate::engine::Placement;
use crate::ledger::quota::Book;
use crate::ledger::time::DAY;
use crate::ledger::{LedgerTime, Moment};
use crate::link::message::{Protocol, SessionParams, TestType};
use crate::reason::DenyReason;

use super::denial::{Denied, whole_seconds};

/// A session is cut this long after its granted duration: connecting and the last exchange take time too.
pub const GRANT_SLACK: Duration = Duration::from_secs(5);

/// The second half of an appliance's speed test follows the first within this time.
pub const SAME_TEST: Duration = Duration::from_secs(10);

/// Wait named in denials whose end nobody can know: draining, suspended, audit or ledger not writable.
pub const UNKNOWN_WAIT: Duration = Duration::from_secs(60);

/// What will run if nothing speaks against it. Every field is inside the peer's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// What to run.
    pub test_type: TestType,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Parallel streams.
    pub streams: u32,
    /// The reflector sends.
    pub reverse: bool,
    /// Granted length.
    pub duration: Duration,
    /// Where its data flows.
    pub placement: Placement,
    /// Completes the test before it on the same connection: no cooldown, no grant of its own.
    pub second_half: bool,
}

/// The session that ended last on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// What ran.
    pub test_type: TestType,
    /// The reflector sent.
    pub reverse: bool,
    /// When it was over.
    pub ended_at: LedgerTime,
    /// It was itself a second half.
    pub second_half: bool,
}

/// A session that holds a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Of the asking peer.
    pub own: bool,
    /// When its granted time is over.
    pub ends_at: LedgerTime,
}

/// Why the reflector grants nothing to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// About to stop; what still fits may finish its test.
    Draining {
        /// Time until running sessions are cut.
        left: Duration,
    },
    /// Audit lines cannot be written and policy says to deny then.
    AuditFailing,
    /// Usage cannot be recorded.
    LedgerFailing,
    /// It measures its own host, which a test would disturb as much as it the test.
    Measuring {
        /// Time until it is done at the latest.
        left: Duration,
    },
}

/// Everything a decision rests on.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// The peer's limits.
    pub policy: &'a Policy,
    /// The peer's usage, brought up to date.
    pub book: &'a Book,
    /// Sessions that hold a slot.
    pub running: &'a [Running],
    /// The session before on this connection.
    pub before: Option<Finished>,
    /// Time until the window that denies tests closes.
    pub closed_for: Option<Duration>,
    /// The reflector as a whole.
    pub shut: Option<Shut>,
    /// Now.
    pub now: Moment,
}

/// The answer to a request for a type this reflector cannot run. Checked with the parameters.
pub fn no_engine(test_type: TestType) -> Denied {
    Denied::invalid(format!(
        "this reflector has no engine for {}: ask for another test type",
        test_type.as_str()
    ))
}

/// Checks what was asked against the limits alone.
pub fn check(
    test_type: TestType,
    params: &SessionParams,
    placement: Placement,
    quotas: &Quotas,
) -> Result<Plan, Denied> {
    let longest = quotas.max_test_duration;
    if params.duration_sec == 0 {
        return Err(Denied::invalid(format!(
            "duration_sec must be at least 1; at most {} is granted",
            longest.as_secs()
        )));
    }
    // Echo has no streams and no direction; whatever was sent along is not looked at.
    let (protocol, streams, reverse) = match test_type {
        TestType::UdpEcho => (Protocol::Udp, 1, false),
        TestType::Throughput => (
            params.protocol.unwrap_or(Protocol::Tcp),
            params.streams.unwrap_or(quotas.default_streams.min(quotas.max_streams).max(1)),
            params.reverse.unwrap_or(false),
        ),
    };
    if streams == 0 || streams > quotas.max_streams.max(1) {
        return Err(Denied::invalid(format!(
            "streams must be 1 to {}; {streams} were asked for",
            quotas.max_streams.max(1)
        )));
    }
    let duration = Duration::from_secs(params.duration_sec).min(longest);
    Ok(Plan { test_type, protocol, streams, reverse, duration, placement, second_half: false })
}

/// Decides on a plan that passed [`check`].
pub fn decide(plan: Plan, view: &View<'_>) -> Result<Plan, Denied> {
    let plan = Plan { second_half: is_second_half(&plan, view), ..plan };
    serving(&plan, view)?;
    concurrency(view)?;
    switched_on(&plan, view)?;
    if !plan.second_half {
        cooldown(view)?;
        hourly(view)?;
    }
    bytes(view)?;
    Ok(plan)
}

/// Time to the earliest granted end among `running`.
pub fn wait_for_slot(running: &[Running], now: LedgerTime) -> Option<Duration> {
    running.iter().map(|session| session.ends_at.since(now)).min()
}

fn is_second_half(plan: &Plan, view: &View<'_>) -> bool {
    view.before.is_some_and(|before| {
        plan.test_type == TestType::Throughput
            && before.test_type == TestType::Throughput
            && before.reverse != plan.reverse
            && !before.second_half
            && view.now.at.since(before.ended_at) <= SAME_TEST
    })
}

fn serving(plan: &Plan, view: &View<'_>) -> Result<(), Denied> {
    let busy = |message: &str| Err(Denied::until(DenyReason::Busy, UNKNOWN_WAIT, message));
    if view.policy.reflector_suspended {
        return busy("this reflector is suspended; its operator has to resume it");
    }
    match view.shut {
        Some(Shut::Draining { left }) if plan.second_half && plan.duration + GRANT_SLACK <= left => {}
        Some(Shut::Draining { .. }) => {
            return busy("this reflector is shutting down; try again when it is back");
        }
        Some(Shut::AuditFailing) => {
            return busy("this reflector cannot write its audit log; its operator has to free space");
        }
        Some(Shut::LedgerFailing) => {
            return busy("this reflector cannot record usage; its operator has to repair its ledger");
        }
        Some(Shut::Measuring { left }) => {
            let message = format!(
                "this reflector measures its own host; ask again in {} s at the latest",
                whole_seconds(left)
            );
            return Err(Denied::until(DenyReason::Busy, left, message));
        }
        None => {}
    }
    match view.closed_for {
        Some(wait) => Err(Denied::until(
            DenyReason::RateLimited,
            wait,
            format!("tests are not allowed at this time; the window opens in {} s", whole_seconds(wait)),
        )),
        None => Ok(()),
    }
}

fn concurrency(view: &View<'_>) -> Result<(), Denied> {
    let own: Vec<Running> = view.running.iter().copied().filter(|session| session.own).collect();
    let full = |sessions: &[Running], cap: u32| u32::try_from(sessions.len()).unwrap_or(u32::MAX) >= cap;
    let own_full = full(&own, view.policy.quotas.max_concurrent_tests);
    let all_full = full(view.running, view.policy.total_concurrent_tests);
    let message = match (own_full, all_full) {
        (false, false) => return Ok(()),
        (true, _) => "this peer's own test is still running",
        (false, true) => "another peer's test is running",
    };
    // Both must have room, so the later of the two. A cap of 0 has no end to name.
    let earliest = |sessions: &[Running]| wait_for_slot(sessions, view.now.at).unwrap_or(UNKNOWN_WAIT);
    let own_wait = if own_full { earliest(&own) } else { Duration::ZERO };
    let wait = if all_full { earliest(view.running).max(own_wait) } else { own_wait };
    Err(Denied::until(DenyReason::Busy, wait, format!("{message}; ask again in {} s", whole_seconds(wait))))
}

fn switched_on(plan: &Plan, view: &View<'_>) -> Result<(), Denied> {
    let allowed = match plan.test_type {
        TestType::Throughput => view.policy.quotas.allow_throughput,
        TestType::UdpEcho => view.policy.quotas.allow_udp_echo,
    };
    if allowed {
        return Ok(());
    }
    Err(Denied::invalid(format!("{} tests are switched off for this peer", plan.test_type.as_str())))
}

fn cooldown(view: &View<'_>) -> Result<(), Denied> {
    let pause = view.policy.quotas.cooldown;
    match view.book.cooldown_wait(view.now.at, pause) {
        None => Ok(()),
        Some(wait) => Err(Denied::until(
            DenyReason::RateLimited,
            wait,
            format!("{} s must pass between tests; {} s are left", whole_seconds(pause), whole_seconds(wait)),
        )),
    }
}

fn hourly(view: &View<'_>) -> Result<(), Denied> {
    let limit = view.policy.quotas.tests_per_hour;
    match view.book.hourly_wait(view.now.at, limit) {
        None => Ok(()),
        Some(wait) => Err(Denied::until(
            DenyReason::RateLimited,
            wait,
            format!("{limit} tests an hour are allowed; the next one in {} s", whole_seconds(wait)),
        )),
    }
}

fn bytes(view: &View<'_>) -> Result<(), Denied> {
    let Some(limit) = view.policy.quotas.bytes_per_day else { return Ok(()) };
    let used = view.book.bytes_today();
    if used < limit {
        return Ok(());
    }
    // Only a limit of 0 gets here without a bucket.
    let wait = view.book.day_wait(view.now.at).unwrap_or_else(|| view.now.until_midnight().min(DAY));
    Err(Denied::until(
        DenyReason::QuotaExceeded,
        wait,
        format!(
            "{used} of {limit} bytes of this UTC day are used, 0 remain; the day ends in {} s",
            whole_seconds(wait)
        ),
    ))
}
