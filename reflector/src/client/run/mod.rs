//! A whole run: the phases of a plan one after the other, and the result they add up to.
//!
//! In: a server, a plan, somebody to tell. Out: a result, also of what was measured before something went wrong. `book`
//! keeps the result while it grows; nothing here prints.

mod book;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::dial;
use super::error::LinkError;
use super::link::Link;
use super::plan::{Phase, Plan, PlanError};
use super::result::TestResult;
use super::session;
use super::target::HostPort;
use super::throughput::{self, Direct, Ending, Outcome, ThroughputError, Tick};
use crate::identity::Current;
use crate::link::message::Mode;
use crate::reason::DenyReason;
use book::{Book, Done};

/// What happens, for whoever shows it.
pub enum Event<'a> {
    /// Our own cooldown has to pass first.
    Waits {
        /// How long.
        seconds: u64,
    },
    /// Direct data does not get through; the tunnel is tried.
    FellBack {
        /// Why not.
        why: String,
    },
    /// A phase was granted.
    Begins {
        /// Which.
        phase: &'a Phase,
        /// How its data travels.
        mode: Mode,
    },
    /// Ten times a second.
    Tick {
        /// Of this phase.
        phase: &'a Phase,
        /// What is known.
        tick: Tick<'a>,
    },
}

/// Told of everything; must not block.
pub type Show<'a> = dyn FnMut(Event<'_>) + Send + 'a;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The control connection, or a denial on it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Nothing can be run here.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The test itself.
    #[error(transparent)]
    Throughput(#[from] ThroughputError),
    /// It ended before data could flow.
    #[error("{}", .0.said())]
    Refused(Ending),
    /// We were told to stop before anything was measured.
    #[error("interrupted before anything was measured")]
    Interrupted,
}

impl RunError {
    /// The other end answered, and the answer is no.
    pub const fn is_denial(&self) -> bool {
        match self {
            Self::Link(error) => error.is_denial(),
            Self::Plan(_) | Self::Refused(Ending::Busy) => true,
            _ => false,
        }
    }

    /// Why direct data does not get through; `None`: that is not what went wrong.
    pub(super) fn blocked(&self) -> Option<String> {
        match self {
            Self::Throughput(
                error @ (ThroughputError::Unreachable(cause) | ThroughputError::Stream(cause)),
            ) => Some(format!("{error}: {cause}")),
            Self::Throughput(error @ ThroughputError::Silent { .. }) => Some(error.to_string()),
            Self::Refused(Ending::Vanished) => Some("its port closes our connections".to_owned()),
            // Plain data is switched off there; the words say what the owner would have to open.
            Self::Link(LinkError::Denied { reason: DenyReason::InvalidParams, message, .. }) => {
                Some(message.clone())
            }
            _ => None,
        }
    }
}

/// A result, and whether it is all that was asked for.
#[derive(Debug)]
pub struct Measured {
    /// What was measured.
    pub result: TestResult,
    /// Every phase ran to its end.
    pub complete: bool,
}

/// What is measured against.
pub enum Server<'a> {
    /// A reflector, and who we are.
    Reflector(&'a mut Link, &'a Current),
    /// A stock iperf3 server.
    Iperf3(&'a HostPort),
}

/// Runs a plan. What was measured before something went wrong is a result too.
pub async fn run(
    server: &mut Server<'_>,
    plan: &Plan,
    now: Timestamp,
    stop: &CancellationToken,
    show: &mut Show<'_>,
) -> Result<Measured, RunError> {
    let mut book = Book::open(server, plan, now).await;
    for phase in &plan.phases {
        let done = match server {
            Server::Reflector(link, us) => session::run(link, us, phase, stop, show)
                .await
                .map(|session| Done::Session(Box::new(session))),
            Server::Iperf3(at) => {
                stock(at, phase, stop, show).await.map(|outcome| Done::Stock(Box::new(outcome)))
            }
        };
        match done {
            Ok(done) => book.enter(phase, &done),
            Err(error) if book.result.phases.is_empty() => return Err(error),
            Err(error) => book.give_up(phase, &error),
        }
        if !book.complete || stop.is_cancelled() {
            book.complete = false;
            break;
        }
    }
    Ok(book.close())
}

async fn stock(
    at: &HostPort,
    phase: &Phase,
    stop: &CancellationToken,
    show: &mut Show<'_>,
) -> Result<Outcome, RunError> {
    let to = dial::resolve(at).await?;
    show(Event::Begins { phase, mode: Mode::DirectEphemeral });
    let setup = session::setup(phase, to.ip(), false);
    let mut tick = |tick: Tick<'_>| show(Event::Tick { phase, tick });
    let outcome = throughput::run(&setup, &Direct { to, from: None }, stop, &mut tick).await?;
    if outcome.flows.is_empty() {
        return Err(if stop.is_cancelled() {
            RunError::Interrupted
        } else {
            RunError::Refused(outcome.ending)
        });
    }
    Ok(outcome)
}
