//! What can go wrong between a client and a reflector, each with what to do next.

use std::io;
use std::net::SocketAddr;

use crds::EndpointId;

use crate::link::reply::{FORBIDDEN, PAIRING_HELPS};
use crate::link::tls::{ServerRefused, TlsError, tls_error};
use crate::link::{DecodeError, EncodeError, FrameError};
use crate::reason::DenyReason;

/// Why a reflector cannot be talked to, or said no.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The name leads nowhere.
    #[error("find the address of {host}: check its spelling, or write the IP address")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's words.
        #[source]
        source: io::Error,
    },
    /// Nobody listens there.
    #[error("connect to {at}: is the reflector running there, and is this TCP port open?")]
    Connect {
        /// Where the last try went.
        at: SocketAddr,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another key answered, or a forged certificate.
    #[error(transparent)]
    Server(#[from] ServerRefused),
    /// What answered does not speak pp-link.
    #[error("agree on TLS with {at}: is it a reflector?")]
    Handshake {
        /// Who.
        at: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// We are nobody there.
    #[error(
        "{message}\nOur Endpoint ID is {ours}. Its owner can run `reflector peers add {ours}`, or `reflector pair` and \
         give you the code for --code"
    )]
    NotPaired {
        /// The reflector's words.
        message: String,
        /// Who we are.
        ours: EndpointId,
    },
    /// We may not be there: revoked, expired, or one connection too many. Pairing would not change it.
    #[error("{message}\nOur Endpoint ID is {ours}: its owner finds it in `reflector peers list`")]
    ShutOut {
        /// The reflector's words.
        message: String,
        /// Who we are.
        ours: EndpointId,
    },
    /// A code was to be presented, and nobody takes one there now.
    #[error(
        "not paired: no pairing window is open there: the code was used, has expired or was closed, or that reflector \
         does not reach its cluster just now. Try again, or ask its owner for a new one (`reflector pair`). \
         Our Endpoint ID is {ours}"
    )]
    NoWindow {
        /// Who we are.
        ours: EndpointId,
    },
    /// The code did not pair us.
    #[error("not paired: {message}")]
    PairingRefused {
        /// The reflector's words.
        message: String,
    },
    /// A session was not granted.
    #[error("denied ({reason}): {message}")]
    Denied {
        /// Typed.
        reason: DenyReason,
        /// The reflector's words, which say what would be granted.
        message: String,
        /// When asking again makes sense.
        retry_after_sec: Option<u64>,
    },
    /// An `error` frame.
    #[error("the reflector answered {asked} with error {code}: {message}")]
    Refused {
        /// What was asked.
        asked: &'static str,
        /// 400, 403, 500.
        code: u32,
        /// Its words.
        message: String,
    },
    /// An answer to something else.
    #[error("the reflector answered {asked} with {got}: is it of a compatible version?")]
    Unexpected {
        /// What was asked.
        asked: &'static str,
        /// What came.
        got: &'static str,
    },
    /// It closed, or the network broke.
    #[error("the reflector closed the connection while {during}")]
    Closed {
        /// What we were doing.
        during: &'static str,
    },
    /// The connection broke.
    #[error("the connection broke while {during}")]
    Broken {
        /// What we were doing.
        during: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing came in time.
    #[error(
        "no answer from the reflector while {during} for {seconds} s: is the network up, and the host not overloaded?"
    )]
    Timeout {
        /// What we were doing.
        during: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// It sent a frame that is none.
    #[error("read a frame of the reflector")]
    Frame(#[from] FrameError),
    /// It sent a message we cannot read.
    #[error("read an answer of the reflector")]
    Decode(#[from] DecodeError),
    /// We made a message that cannot be sent: a bug.
    #[error("write a message to the reflector")]
    Encode(#[from] EncodeError),
    /// TLS could not be set up, or has no keys to derive: a bug.
    #[error("set up TLS for our key")]
    Tls(#[from] TlsError),
    /// A grant whose token cannot be used.
    #[error("the reflector granted a session with a token that is no UUID: is it of a compatible version?")]
    Token,
    /// Keys for the data connections could not be derived: a bug.
    #[error("derive keys for the data of this session")]
    Exporter(#[source] rustls::Error),
    /// The feature is not spoken there.
    #[error("this reflector cannot do {0}: its version is older, or its owner switched it off")]
    Feature(&'static str),
}

impl LinkError {
    /// The reflector answered, and the answer is no. Everything else is a failure.
    pub const fn is_denial(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::NotPaired { .. } | Self::PairingRefused { .. })
            || matches!(
                self,
                Self::ShutOut { .. } | Self::NoWindow { .. } | Self::Refused { code: FORBIDDEN, .. }
            )
    }

    /// Whether the reflector is still there to be asked something else.
    pub const fn leaves_the_link(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. }
                | Self::PairingRefused { .. }
                | Self::Refused { .. }
                | Self::Unexpected { .. }
                | Self::Feature(_)
                | Self::Exporter(_)
        )
    }

    /// What a 403 to `hello` means: its words say whether pairing would help.
    pub(super) fn of_refusal(message: String, ours: EndpointId) -> Self {
        if message.contains(PAIRING_HELPS) {
            Self::NotPaired { message, ours }
        } else {
            Self::ShutOut { message, ours }
        }
    }

    /// What a failed handshake means: a typed refusal of ours is inside the IO error.
    pub(super) fn of_handshake(at: SocketAddr, source: io::Error) -> Self {
        match tls_error(&source).and_then(ServerRefused::in_error) {
            Some(refused) => Self::Server(refused.clone()),
            None => Self::Handshake { at, source },
        }
    }
}
