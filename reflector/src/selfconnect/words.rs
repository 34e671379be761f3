//! From what a client saw to what it means for the reflector itself. Pure.
//!
//! Nothing that the other end said is repeated: it may be somebody else, and this is read in a status.

use std::io;
use std::net::SocketAddr;

use crate::client::LinkError;
use crate::reason::DenyReason;

use super::streak::Answer;

/// What an attempt at this address came to.
pub(super) fn answer(at: SocketAddr, outcome: Result<(), LinkError>) -> Answer {
    match outcome {
        Ok(()) => Answer::Granted,
        // Policy shuts everybody out, or the reflector grants nothing to anybody: status says which, and why.
        Err(LinkError::ShutOut { .. } | LinkError::Denied { reason: DenyReason::Busy, .. }) => Answer::Shut,
        Err(error) => Answer::Missed(format!("{at}: {}", cause(at.port(), &error))),
    }
}

/// Nothing came of it in time.
pub(super) fn too_late(at: SocketAddr, seconds: u64) -> Answer {
    Answer::Missed(format!("{at}: {}", slow(seconds)))
}

fn cause(port: u16, error: &LinkError) -> String {
    match error {
        LinkError::Connect { source, .. } => refused(port, source),
        LinkError::Server(_) => {
            format!(
                "another key than ours answered, so another process has TCP port {port} there: stop it, or change \
                 spec.network.port"
            )
        }
        LinkError::Handshake { source, .. } => format!(
            "what answered did not agree on TLS ({}): see that no other process has TCP port {port} there",
            source.kind()
        ),
        LinkError::NotPaired { .. } => {
            "we arrived from an address that is not this host's: remove the rule on the node that rewrites the source of \
             connections to itself"
                .to_owned()
        }
        LinkError::Denied { reason, message, .. } => format!("no test is granted ({reason}): {message}"),
        LinkError::Timeout { seconds, .. } => slow(*seconds),
        LinkError::Closed { during } | LinkError::Broken { during, .. } => {
            format!("the connection ended while {during}: look at the pod's log, and at the firewall of the node")
        }
        // A bug of ours, or not ours at the other end.
        _ => "the answer cannot be read: look at the pod's log".to_owned(),
    }
}

fn refused(port: u16, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::TimedOut => format!(
            "no answer: a firewall on the node drops TCP port {port}; let it pass, also from the node itself"
        ),
        io::ErrorKind::ConnectionRefused => format!(
            "connection refused: a firewall on the node rejects TCP port {port}, or its listener is gone; let it pass, \
             or delete the pod"
        ),
        kind => format!("{kind}: look at the limits and at the firewall of the node"),
    }
}

fn slow(seconds: u64) -> String {
    format!("no answer within {seconds} s: the host is overloaded, or the process is stuck; look at both")
}

#[cfg(test)]
mod tests {
    use crds::EndpointId;

    use super::*;
    use crate::link::tls::ServerRefused;

    fn at() -> SocketAddr {
        "127.0.0.1:4017".parse().unwrap()
    }

    fn id(n: u8) -> EndpointId {
        EndpointId::from_public_key([n; 32])
    }

    fn missed(error: LinkError) -> String {
        match answer(at(), Err(error)) {
            Answer::Missed(why) => why,
            other => panic!("{other:?}"),
        }
    }

    fn denied(reason: DenyReason) -> LinkError {
        LinkError::Denied { reason, message: "because".into(), retry_after_sec: None }
    }

    #[test]
    fn a_grant_is_a_grant_and_what_status_explains_elsewhere_is_shut() {
        assert_eq!(answer(at(), Ok(())), Answer::Granted);
        assert_eq!(answer(at(), Err(denied(DenyReason::Busy))), Answer::Shut);
        let policy = LinkError::ShutOut { message: "no policy yet".into(), ours: id(1) };
        assert_eq!(answer(at(), Err(policy)), Answer::Shut);
    }

    /// X10: who reads it knows where, what, and what to do.
    #[test]
    fn each_miss_names_the_address_the_cause_and_a_remedy() {
        let connect = |kind: io::ErrorKind| LinkError::Connect { at: at(), source: kind.into() };
        let other = ServerRefused::WrongKey { expected: id(1), found: id(2) };
        for (error, cause, remedy) in [
            (connect(io::ErrorKind::TimedOut), "a firewall on the node drops TCP port 4017", "let it pass"),
            (connect(io::ErrorKind::ConnectionRefused), "connection refused", "delete the pod"),
            (connect(io::ErrorKind::Other), "other error", "look at the limits"),
            (other.into(), "another process has TCP port 4017", "change spec.network.port"),
            (
                LinkError::Handshake { at: at(), source: io::ErrorKind::InvalidData.into() },
                "did not agree on TLS (invalid data)",
                "no other process",
            ),
            (
                LinkError::NotPaired { message: "who?".into(), ours: id(1) },
                "not this host's",
                "remove the rule",
            ),
            (denied(DenyReason::InvalidParams), "no test is granted (invalid_params)", "because"),
            (LinkError::Timeout { during: "saying hello", seconds: 7 }, "within 7 s", "look at both"),
            (LinkError::Closed { during: "hello" }, "ended while hello", "pod's log"),
            (LinkError::Token, "cannot be read", "pod's log"),
        ] {
            let words = missed(error);
            assert!(words.starts_with("127.0.0.1:4017: "), "{words}");
            assert!(words.contains(cause) && words.contains(remedy), "{words}");
        }
        assert_eq!(too_late(at(), 9), Answer::Missed(format!("127.0.0.1:4017: {}", slow(9))));
    }

    /// Whoever has our port may say what it likes; nobody reads it in a status.
    #[test]
    fn what_a_foreign_process_says_is_not_repeated() {
        let message = "buy my things".to_owned();
        let words = missed(LinkError::Refused { asked: "hello", code: 500, message: message.clone() });
        assert!(!words.contains(&message), "{words}");
        let words = missed(LinkError::NotPaired { message: message.clone(), ours: id(1) });
        assert!(!words.contains(&message), "{words}");
    }
}
