//! The accept loop. What a stranger can trigger must not end or spin it.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::metrics::AcceptError;

use super::limits::ACCEPT_BACKOFF;

/// What to do about a failed `accept()` (pure).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The connection died before we had it: take the next one.
    Next,
    /// No descriptor or no memory: make room, wait a moment, try again.
    MakeRoom(AcceptError),
    /// The listener itself is broken: nothing will ever be accepted again.
    GiveUp,
}

/// accept(2) reports errors of the connection it was about to hand over, so almost none are about us.
pub(super) fn classify(error: &io::Error) -> Action {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => Action::MakeRoom(AcceptError::Descriptors),
        Some(libc::ENOMEM | libc::ENOBUFS) => Action::MakeRoom(AcceptError::Memory),
        Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP) => Action::GiveUp,
        _ => Action::Next,
    }
}

/// Who takes the sockets.
pub(super) trait Host {
    /// A new connection.
    fn welcome(&self, stream: TcpStream, from: SocketAddr);
    /// `accept()` failed; `MakeRoom` means someone has to go.
    fn trouble(&self, error: &io::Error, action: Action);
}

/// Accepts until cancelled. Returns an error only when the listener is broken.
pub(super) async fn accept_loop(
    listener: TcpListener,
    host: &impl Host,
    cancel: &CancellationToken,
) -> io::Result<()> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => host.welcome(stream, from),
            Err(error) => {
                let action = classify(&error);
                host.trouble(&error, action);
                match action {
                    Action::Next => {}
                    Action::MakeRoom(_) => pause().await,
                    Action::GiveUp => return Err(error),
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the kernel has no event for `a descriptor is free again`")]
async fn pause() {
    tokio::time::sleep(ACCEPT_BACKOFF).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_stranger_can_cause_ends_the_loop() {
        for errno in [
            libc::ECONNABORTED,
            libc::EPERM,
            libc::EPROTO,
            libc::ENETDOWN,
            libc::EHOSTUNREACH,
            libc::ETIMEDOUT,
            libc::EINTR,
        ] {
            assert_eq!(classify(&io::Error::from_raw_os_error(errno)), Action::Next, "{errno}");
        }
        for errno in [libc::EMFILE, libc::ENFILE] {
            let action = classify(&io::Error::from_raw_os_error(errno));
            assert_eq!(action, Action::MakeRoom(AcceptError::Descriptors));
        }
        for errno in [libc::ENOMEM, libc::ENOBUFS] {
            assert_eq!(classify(&io::Error::from_raw_os_error(errno)), Action::MakeRoom(AcceptError::Memory));
        }
        assert_eq!(classify(&io::Error::from_raw_os_error(libc::EBADF)), Action::GiveUp);
    }
}
