//! What comes of opening a window and of presenting a code, with the messages people and appliances read.

use std::io;

use jiff::Timestamp;

use crate::reason::CodeReason;

use super::code::Code;
use super::handle::Reservation;

/// Why a window could not be opened, closed or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Too short or too long.
    #[error("a pairing code can live for 1s to 24h: choose a --ttl in between")]
    Ttl,
    /// The system gave no random numbers.
    #[error("draw a pairing code")]
    Random(#[source] getrandom::Error),
    /// The state could not be made durable.
    #[error("save the pairing window")]
    Save(#[source] io::Error),
    /// A saved window could not be read. It was dropped: open a new one.
    #[error("restore the pairing window: open a new one with `reflector pair`")]
    Restore(#[source] io::Error),
}

/// A window that was just opened.
#[derive(Debug)]
pub struct Opened {
    /// To be shown once.
    pub code: Code,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// What came of a code.
#[derive(Debug)]
pub enum Outcome {
    /// Right. Make the peer durable, then [`Reservation::commit`]; dropping it makes the code good again.
    Accepted(Reservation),
    /// Not enrolled, with the message for the appliance.
    Refused(Refused),
}

/// Why a code enrolled nobody. `Display` is the message the appliance gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Looked at, and wrong.
    #[error("wrong pairing code: check it and try again")]
    Wrong,
    /// Not looked at.
    #[error("too many wrong pairing codes: wait {seconds} s and try again")]
    Wait {
        /// Until the next code is looked at.
        seconds: u64,
    },
    /// Right, but another appliance is being enrolled with it at this moment.
    #[error("this pairing code is being used by another appliance: wait {seconds} s and try again")]
    InUse {
        /// When to ask again.
        seconds: u64,
    },
    /// No window was opened since the start.
    #[error("no pairing window is open: ask the operator of this reflector for a code")]
    NotOpen,
    /// The code of the last window was used.
    #[error(
        "this pairing code was already used, it works once: ask the operator of this reflector for a new one"
    )]
    Used,
    /// The last window is over.
    #[error("this pairing code has expired: ask the operator of this reflector for a new one")]
    Expired,
    /// The operator closed the last window.
    #[error("the pairing window was closed: ask the operator of this reflector for a new code")]
    Closed,
    /// Right, but its use could not be recorded, so it was not accepted.
    #[error("the reflector could not record the pairing: try again, and tell its operator if it stays so")]
    NotRecorded,
}

impl Refused {
    /// Stable name for audit and metrics.
    pub fn reason(self) -> CodeReason {
        match self {
            Self::Wrong => CodeReason::Wrong,
            Self::Wait { .. } => CodeReason::TooMany,
            Self::InUse { .. } => CodeReason::InUse,
            Self::NotOpen => CodeReason::NotOpen,
            Self::Used => CodeReason::Used,
            Self::Expired => CodeReason::Expired,
            Self::Closed => CodeReason::Closed,
            Self::NotRecorded => CodeReason::NotRecorded,
        }
    }
}
