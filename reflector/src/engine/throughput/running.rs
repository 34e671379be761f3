//! A test whose streams run: what can end it, and when.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::engine::iperf::{Code, State};
use crate::reason::EndReason;
use crate::session::SessionControl;

use super::arrivals::Arrivals;
use super::control::ControlError;
use super::entrance::Client;
use super::flows::Flows;
use super::opening::Opening;
use super::plan::{Direction, Plan};
use super::rate::RateWatch;
use super::stall::Progress;

/// Progress and rates are looked at this often, only while streams run.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How the running came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// The client said so.
    ByClient,
    /// Ours: the client is to read a shorter valid test.
    Cut(EndReason),
    /// Ours: the client is told that the server is gone.
    Terminated(EndReason),
    /// The client is gone.
    Gone(EndReason),
    /// The client did what it may not, or nothing at all.
    Failed(EndReason, Code),
}

impl Over {
    /// What to do when the session says stop.
    pub(super) fn told(reason: EndReason) -> Self {
        match reason {
            EndReason::DurationCap
            | EndReason::QuotaExceeded
            | EndReason::RateExceeded
            | EndReason::WindowClosed
            | EndReason::Completed => Self::Cut(reason),
            EndReason::Shutdown
            | EndReason::Revoked
            | EndReason::Suspended
            | EndReason::Expired
            | EndReason::Internal => Self::Terminated(reason),
            EndReason::ClientTerminated | EndReason::ClientVanished => Self::Gone(reason),
            EndReason::Stalled => Self::Failed(reason, Code::Idle),
            EndReason::ProtocolError => Self::Failed(reason, Code::State),
            EndReason::NoStart => Self::Failed(reason, Code::Parameters),
        }
    }

    /// What a message, or its absence, means while it could be any.
    pub(super) fn said(message: &Result<State, ControlError>) -> Self {
        match message {
            Ok(State::TestEnd) => Self::ByClient,
            Ok(State::ClientTerminate | State::IperfDone)
            | Err(ControlError::Closed | ControlError::Broken(_)) => Self::Gone(EndReason::ClientTerminated),
            Ok(_) | Err(ControlError::Unreadable(_) | ControlError::Silent) => {
                Self::Failed(EndReason::ProtocolError, Code::State)
            }
        }
    }

    pub(super) const fn reason(self) -> EndReason {
        match self {
            Self::ByClient => EndReason::Completed,
            Self::Cut(reason) | Self::Terminated(reason) | Self::Gone(reason) | Self::Failed(reason, _) => {
                reason
            }
        }
    }
}

/// Resolves when the session is told to stop.
pub(super) async fn told(session: &SessionControl) -> Over {
    session.stopped().await;
    Over::told(session.stop_reason().unwrap_or(EndReason::Shutdown))
}

/// Runs from `started` until something ends it. The streams still move when it returns.
pub(super) async fn run(
    client: &mut Client,
    arrivals: &mut Arrivals,
    opening: &mut Opening,
    flows: &mut Flows,
    session: &SessionControl,
    started: Instant,
) -> Over {
    let mut watch = Watch::new(&client.plan);
    let end = started + client.plan.end.at();
    let mut omit = Some(client.plan.omit).filter(|omit| !omit.is_zero()).map(|omit| started + omit);
    let mut look = interval_at(started + LOOK_INTERVAL, LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Every arm is cancel-safe: the reader keeps what it read, the lobby who waits; the rest are timers and a token.
        tokio::select! {
            biased;
            over = told(session) => return over,
            message = client.control.any_state() => return Over::said(&message),
            () = sleep_until(end) => return Over::Cut(EndReason::DurationCap),
            () = sleep_until(omit.unwrap_or(end)), if omit.is_some() => {
                flows.omit_ends();
                omit = None;
            }
            at = look.tick() => {
                if let Some(over) = watch.look(flows, at.duration_since(started)) {
                    return over;
                }
            }
            () = opening.turn_away(arrivals) => {}
        }
    }
}

/// What is looked at while streams run.
struct Watch {
    progress: Vec<(Direction, Progress)>,
    rate: Option<RateWatch>,
}

impl Watch {
    fn new(plan: &Plan) -> Self {
        let both = [(Direction::Send, plan.sends()), (Direction::Receive, plan.receives())];
        let two_blocks = plan.two_blocks();
        Self {
            progress: both
                .into_iter()
                .filter(|(_, used)| *used)
                .map(|(direction, _)| (direction, Progress::new(two_blocks)))
                .collect(),
            rate: plan.receive_limit.map(RateWatch::new),
        }
    }

    fn look(&mut self, flows: &Flows, at: Duration) -> Option<Over> {
        if let Some(reason) = flows.trouble() {
            return Some(Over::told(reason));
        }
        for (direction, progress) in &mut self.progress {
            if progress.stalled(at, flows.bytes(*direction)) {
                return Some(Over::Failed(EndReason::Stalled, Code::Idle));
            }
        }
        let rate = self.rate.as_mut()?;
        rate.exceeds(at, flows.bytes(Direction::Receive)).then_some(Over::Cut(EndReason::RateExceeded))
    }
}
