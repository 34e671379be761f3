//! Every value a label can have. Closed sets only.

use crate::engine::echo::drops::Cause;
use crate::link::message::TestType;
use crate::reason::{DenyReason, EndReason, RefuseReason};
use crate::selftest::Verdict;

/// A closed set of label values.
pub(super) trait Label: Copy + 'static {
    /// Every value: series exist from the start, so that a rate over the first event is not lost.
    const VALUES: &'static [Self];
    /// The value in the text.
    fn value(self) -> &'static str;
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident => $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "named after what they count")]
        pub enum $name { $($variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as a label.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl Label for $name {
            const VALUES: &'static [Self] = Self::ALL;
            fn value(self) -> &'static str { self.as_str() }
        }
    )+};
}

labels! {
    /// What is known about a connection.
    ConnectionState { HalfOpen => "half_open", Known => "known", Data => "data" }

    /// Why `accept()` failed: what ran out.
    AcceptError { Descriptors => "descriptors", Memory => "memory", Network => "network" }

    /// How a handshake ended.
    Handshake {
        Ok => "ok",
        Timeout => "timeout",
        NoClientCertificate => "no_client_certificate",
        TlsVersion => "tls_version",
        WrongAlpn => "wrong_alpn",
        BadCertificate => "bad_certificate",
        IdentityForged => "identity_forged",
        Failed => "failed",
    }

    /// Why a frame or message could not be used.
    BadFrame {
        BadJson => "bad_json",
        UnknownType => "unknown_type",
        Version => "version",
        Unexpected => "unexpected",
        Oversized => "oversized",
        Slow => "slow",
    }

    /// What became of a pairing code.
    PairingResult {
        Paired => "paired",
        Waits => "waits",
        WrongCode => "wrong_code",
        Limited => "limited",
        Closed => "closed",
        Failed => "failed",
    }

    /// How the policy stands.
    PolicyState {
        Current => "current",
        NeverLoaded => "never_loaded",
        Stale => "stale",
        GraceOver => "grace_over",
    }

    /// How a peer stands.
    PeerState {
        Authorized => "authorized",
        Suspended => "suspended",
        Expired => "expired",
        Invalid => "invalid",
        Duplicate => "duplicate",
        Foreign => "foreign",
    }

    /// What became of a ledger commit.
    CommitResult { Ok => "ok", Error => "error" }

    /// A data connection nobody waits for.
    StrayKind { NotTls => "not_tls", UnexpectedCookie => "unexpected_cookie" }

    /// Which way payload went.
    Direction { Sent => "sent", Received => "received" }

    /// Whose status is written into the cluster.
    StatusKind { Reflector => "reflector", Peer => "peer" }

    /// What became of a write of status.
    StatusWrite {
        Ok => "ok",
        Away => "away",
        Forbidden => "forbidden",
        Gone => "gone",
        Conflict => "conflict",
        Refused => "refused",
        NoRoom => "no_room",
    }

    /// What panicked.
    Task { Connection => "connection", Engine => "engine" }
}

impl Label for TestType {
    const VALUES: &'static [Self] = &[Self::Throughput, Self::UdpEcho];
    fn value(self) -> &'static str {
        self.as_str()
    }
}

impl Label for Cause {
    const VALUES: &'static [Self] = &Self::ALL;
    fn value(self) -> &'static str {
        self.as_str()
    }
}

impl Label for Verdict {
    const VALUES: &'static [Self] = &Self::ALL;
    fn value(self) -> &'static str {
        self.label()
    }
}

impl Label for DenyReason {
    const VALUES: &'static [Self] = Self::ALL;
    fn value(self) -> &'static str {
        self.as_str()
    }
}

impl Label for EndReason {
    const VALUES: &'static [Self] = Self::ALL;
    fn value(self) -> &'static str {
        self.as_str()
    }
}

impl Label for RefuseReason {
    const VALUES: &'static [Self] = Self::ALL;
    fn value(self) -> &'static str {
        self.as_str()
    }
}
