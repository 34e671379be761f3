//! Every reason the reflector gives, in one table: why a connection or request was denied, why a session ended.
//!
//! The `snake_case` names are the only form that reaches the wire, audit lines and metric labels; they are stable API.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a session was not granted. The first five are all an appliance understands; the last one is
/// sent only to peers that negotiated `resource_exhausted`, everyone else reads `busy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation; the table in the docs explains each")]
pub enum DenyReason {
    Unauthorized,
    RateLimited,
    Busy,
    InvalidParams,
    QuotaExceeded,
    ResourceExhausted,
}

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

/// Why a connection was refused or closed by us; audited as `connection_denied`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the documentation; the table in the docs explains each")]
pub enum RefuseReason {
    // before TLS
    NoFirstByte,
    NotTls,
    UnexpectedCookie,
    Crowded,
    // TLS
    HandshakeTimeout,
    HandshakeFailed,
    NoClientCertificate,
    TlsVersion,
    WrongAlpn,
    BadCertificate,
    IdentityForged,
    // policy
    UnknownPeer,
    Suspended,
    Revoked,
    Expired,
    Duplicate,
    InvalidPeer,
    NoPolicy,
    GraceOver,
    TooManyConnections,
    PairingClosed,
    // behaviour
    HelloTimeout,
    HelloMissing,
    Version,
    BadFrames,
    OversizedFrame,
    SlowFrame,
    SlowReader,
    Idle,
    ForeignSession,
    Draining,
    // data connections
    FirstFrameTimeout,
    BadFirstFrame,
    UnknownTest,
    WrongToken,
    WrongProof,
    StreamTaken,
    StreamNotGranted,
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

names!(DenyReason {
    Unauthorized => "unauthorized",
    RateLimited => "rate_limited",
    Busy => "busy",
    InvalidParams => "invalid_params",
    QuotaExceeded => "quota_exceeded",
    ResourceExhausted => "resource_exhausted",
});
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
names!(RefuseReason {
    NoFirstByte => "no_first_byte",
    NotTls => "not_tls",
    UnexpectedCookie => "unexpected_cookie",
    Crowded => "crowded",
    HandshakeTimeout => "handshake_timeout",
    HandshakeFailed => "handshake_failed",
    NoClientCertificate => "no_client_certificate",
    TlsVersion => "tls_version",
    WrongAlpn => "wrong_alpn",
    BadCertificate => "bad_certificate",
    IdentityForged => "identity_forged",
    UnknownPeer => "unknown_peer",
    Suspended => "suspended",
    Revoked => "revoked",
    Expired => "expired",
    Duplicate => "duplicate",
    InvalidPeer => "invalid_peer",
    NoPolicy => "no_policy",
    GraceOver => "grace_over",
    TooManyConnections => "too_many_connections",
    PairingClosed => "pairing_closed",
    HelloTimeout => "hello_timeout",
    HelloMissing => "hello_missing",
    Version => "version",
    BadFrames => "bad_frames",
    OversizedFrame => "oversized_frame",
    SlowFrame => "slow_frame",
    SlowReader => "slow_reader",
    Idle => "idle",
    ForeignSession => "foreign_session",
    Draining => "draining",
    FirstFrameTimeout => "first_frame_timeout",
    BadFirstFrame => "bad_first_frame",
    UnknownTest => "unknown_test",
    WrongToken => "wrong_token",
    WrongProof => "wrong_proof",
    StreamTaken => "stream_taken",
    StreamNotGranted => "stream_not_granted",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_and_display_agree_on_every_name() {
        for reason in DenyReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        for reason in EndReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        for reason in RefuseReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
