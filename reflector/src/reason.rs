//! Every reason the reflector gives: why a connection or request was denied, which is a table of `crds` that
//! `kubectl reflector why` reads too, and why a session ended.
//!
//! The `snake_case` names are the only form that reaches the wire, audit lines and metric labels; they are stable API.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crds::reasons::{CodeReason, DenyReason, RefuseReason};

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation; the table in the docs explains each")]
pub enum EndReason {
    Completed,
    DurationCap,
    QuotaExceeded,
    RateExceeded,
    WindowClosed,
    Shutdown,
    Revoked,
    Suspended,
    Expired,
    ClientTerminated,
    ClientVanished,
    Stalled,
    ProtocolError,
    NoStart,
    /// The engine panicked or failed in a way that is our fault.
    Internal,
}

macro_rules! names {
    ($type:ty { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, for documentation and for pre-creating metric series.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

names!(EndReason {
    Completed => "completed",
    DurationCap => "duration_cap",
    QuotaExceeded => "quota_exceeded",
    RateExceeded => "rate_exceeded",
    WindowClosed => "window_closed",
    Shutdown => "shutdown",
    Revoked => "revoked",
    Suspended => "suspended",
    Expired => "expired",
    ClientTerminated => "client_terminated",
    ClientVanished => "client_vanished",
    Stalled => "stalled",
    ProtocolError => "protocol_error",
    NoStart => "no_start",
    Internal => "internal",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_and_display_agree_on_every_name() {
        for reason in EndReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
