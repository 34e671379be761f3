//! A server's answer to a session request, read into values.
//!
//! In: a payload that an appliance understands. Out: a [`Grant`] or a [`Denial`], each with the payload it came from.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::error::Error;

/// Answer to a `session_request`.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Go ahead.
    Granted(Grant),
    /// No, and why.
    Denied(Denial),
}

/// A `session_grant`, and between which addresses its data flows.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// A version 4 UUID.
    pub test_id: String,
    /// `tunneled` or `direct_ephemeral`.
    pub mode: String,
    /// Where data goes.
    pub port: u16,
    /// Proof of the grant.
    pub token: String,
    /// RFC 3339.
    pub expires_at: String,
    /// The server's address on the control connection.
    pub server: IpAddr,
    /// Our address on the control connection: data comes from the same one.
    pub local: IpAddr,
    /// The whole payload, with what an appliance ignores.
    pub payload: Value,
}

/// A `session_deny`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("denied {reason}: {message} (retry after {retry_after_sec:?} s)")]
pub struct Denial {
    /// One of the five.
    pub reason: String,
    /// For people.
    pub message: String,
    /// Seconds to wait; `None` when waiting does not help.
    pub retry_after_sec: Option<u64>,
    /// The whole payload, with what an appliance ignores.
    pub payload: Value,
}

impl Grant {
    /// Where data goes.
    pub const fn data_addr(&self) -> SocketAddr {
        SocketAddr::new(self.server, self.port)
    }
}

impl Answer {
    /// Reads a checked payload; `None` when it is neither a grant nor a denial.
    pub(crate) fn read(payload: Value, server: IpAddr, local: IpAddr) -> Option<Self> {
        let text = |field: &str| Some(payload.get(field)?.as_str()?.to_owned());
        match payload.get("type")?.as_str()? {
            "session_grant" => Some(Self::Granted(Grant {
                test_id: text("test_id")?,
                mode: text("mode")?,
                port: u16::try_from(payload.get("port")?.as_u64()?).ok()?,
                token: text("token")?,
                expires_at: text("expires_at")?,
                server,
                local,
                payload,
            })),
            "session_deny" => Some(Self::Denied(Denial {
                reason: text("reason")?,
                message: text("message")?,
                retry_after_sec: payload.get("retry_after_sec").and_then(Value::as_u64),
                payload,
            })),
            _ => None,
        }
    }

    /// The grant, or the denial as an error.
    pub fn granted(self) -> Result<Grant, Error> {
        match self {
            Self::Granted(grant) => Ok(grant),
            Self::Denied(denial) => Err(Box::new(denial).into()),
        }
    }

    /// The denial; `None` when the session was granted.
    pub fn denied(self) -> Option<Denial> {
        match self {
            Self::Granted(_) => None,
            Self::Denied(denial) => Some(denial),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn grant() -> Value {
        json!({
            "type": "session_grant", "test_id": "0b6cfd5c-3f3d-4c62-9a4e-a4f0b1f9f6a1", "mode": "direct_ephemeral",
            "port": 4000, "token": "7f0c9d0e-6a52-4c0b-8f63-0f6a7f6f6b11", "expires_at": "2026-02-03T04:05:06.789Z",
            "duration_sec": 30,
        })
    }

    #[test]
    fn a_grant_and_a_denial_are_read_whole() {
        let (server, local) = ("127.0.0.1".parse().unwrap(), "127.0.0.9".parse().unwrap());
        let granted = Answer::read(grant(), server, local).unwrap().granted().unwrap();
        assert_eq!(granted.data_addr(), "127.0.0.1:4000".parse().unwrap());
        assert_eq!(granted.local, local);
        assert_eq!(granted.payload["duration_sec"], 30);
        let deny =
            json!({"type": "session_deny", "reason": "busy", "message": "wait", "retry_after_sec": 12});
        let denial = Answer::read(deny, server, local).unwrap().denied().unwrap();
        assert_eq!((denial.reason.as_str(), denial.retry_after_sec), ("busy", Some(12)));
        assert_eq!(Answer::read(json!({"type": "ok"}), server, local), None);
    }
}
