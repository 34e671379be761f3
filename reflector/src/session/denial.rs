//! A denial: typed reason, a sentence that says what to do, and the real wait.

use std::time::Duration;

use crate::reason::DenyReason;

/// Why a session was not granted, ready for the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Denied {
    /// Typed reason.
    pub reason: DenyReason,
    /// What is wrong and what to do next.
    pub message: String,
    /// The real remaining wait in whole seconds, never 0; absent when waiting does not help.
    pub retry_after_sec: Option<u64>,
}

impl Denied {
    /// Waiting helps.
    pub(crate) fn until(reason: DenyReason, wait: Duration, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after_sec: Some(whole_seconds(wait)) }
    }

    /// Waiting does not help: the request itself cannot be granted.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self { reason: DenyReason::InvalidParams, message: message.into(), retry_after_sec: None }
    }

    /// This peer may not test, whatever it asks.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self { reason: DenyReason::Unauthorized, message: message.into(), retry_after_sec: None }
    }
}

/// Rounded up, so that a client which waits exactly this long is never early. Never 0: that would be a busy loop.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_and_never_zero() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
