//! Why a conversation with a reflector did not go on.
//!
//! One error for all of it, so that a test can tell a refusal (alert, `error` frame, denial) from a closed socket, a
//! deadline, and an answer at which a real appliance gives up.

use std::io;
use std::time::Duration;

use serde_json::Value;

use super::answer::Denial;
use super::connect::ConnectError;
use super::ending::Ending;
use super::frame::Oversize;
use super::strict::Abort;

/// Why a conversation did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There was no connection to begin with.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection ended. [`Ending::Alert`] in the first answer is a refused client certificate.
    #[error("the connection ended while waiting for {awaited}: {how:?}")]
    Ended {
        /// What did not come.
        awaited: &'static str,
        /// How it ended.
        how: Ending,
    },
    /// Nothing came in time.
    #[error("no {awaited} within {after:?}")]
    Deadline {
        /// What did not come.
        awaited: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// Anything else the socket said.
    #[error("{awaited}")]
    Io {
        /// What was going on.
        awaited: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A frame over 1 MiB.
    #[error(transparent)]
    Oversize(#[from] Oversize),
    /// A frame that is not JSON.
    #[error("read the answer as JSON")]
    Json(#[source] serde_json::Error),
    /// An answer at which a real appliance gives up.
    #[error(transparent)]
    Abort(#[from] Abort),
    /// The server answered `error`.
    #[error("the server answered error {code}: {message}")]
    Refused {
        /// 400, 403, 500.
        code: u64,
        /// For people.
        message: String,
    },
    /// The server answered `session_deny` where a grant was needed.
    #[error(transparent)]
    Denied(#[from] Box<Denial>),
    /// A known answer to another question.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// The type asked for.
        expected: &'static str,
        /// What came.
        got: Value,
    },
}

impl Error {
    /// The server's TLS alert, from the handshake or from the first read after it.
    pub const fn alert(&self) -> Option<u8> {
        match self {
            Self::Connect(error) => error.alert(),
            Self::Ended { how: Ending::Alert(number), .. } => Some(*number),
            _ => None,
        }
    }

    /// The code of an `error` frame.
    pub const fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// What an IO error means while something is awaited.
    pub(crate) fn ended(awaited: &'static str, error: io::Error) -> Self {
        match Ending::of(&error) {
            Some(how) => Self::Ended { awaited, how },
            None => Self::Io { awaited, source: error },
        }
    }

    /// The payload of an `error` frame.
    pub(crate) fn refused(payload: &Value) -> Self {
        Self::Refused {
            code: payload.get("code").and_then(Value::as_u64).unwrap_or_default(),
            message: payload.get("message").and_then(Value::as_str).unwrap_or_default().to_owned(),
        }
    }
}
