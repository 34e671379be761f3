//! Is the other end of a control connection still there? Asked of the kernel, and only while a session runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::engine::sys;

use super::limits::SESSION_KEEPALIVE;

/// How many unanswered probes the kernel sends before it gives up by itself: the session's own check is faster, this
/// is the backstop.
const PROBES: u32 = 10;

/// A second descriptor of the control socket. Owned by the connection: when that goes, nothing keeps the socket open.
pub(super) struct Liveness(Arc<OwnedFd>);

impl Liveness {
    /// Of this socket.
    pub(super) fn of(stream: &TcpStream) -> io::Result<Self> {
        Ok(Self(Arc::new(stream.as_fd().try_clone_to_owned()?)))
    }

    /// For how long nothing came from the peer; for ever once the connection is gone.
    pub(super) fn silence(&self) -> impl Fn() -> Duration + Send + Sync + 'static {
        let socket: Weak<OwnedFd> = Arc::downgrade(&self.0);
        move || match socket.upgrade() {
            // A socket that cannot be asked is not evidence of death; reads and writes on it will tell.
            Some(socket) => sys::tcp_info(&*socket).map_or(Duration::ZERO, |info| info.silence()),
            None => Duration::MAX,
        }
    }

    /// Probes while a session runs, so that a living peer is never silent; none while idle.
    pub(super) fn probe(&self, on: bool) {
        let socket = SockRef::from(&*self.0);
        let probes = TcpKeepalive::new()
            .with_time(SESSION_KEEPALIVE)
            .with_interval(SESSION_KEEPALIVE)
            .with_retries(PROBES);
        let set = if on { socket.set_tcp_keepalive(&probes) } else { socket.set_keepalive(false) };
        if let Err(error) = set {
            tracing::debug!(%error, on, "set keepalive on a control socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// G3
    #[tokio::test]
    async fn a_connection_that_is_gone_is_silent_for_ever_and_a_fresh_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let liveness = Liveness::of(&stream).unwrap();
        let silence = liveness.silence();
        liveness.probe(true);
        assert!(silence() < Duration::from_secs(60));
        liveness.probe(false);
        drop(liveness);
        assert_eq!(silence(), Duration::MAX);
    }
}
