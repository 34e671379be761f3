//! The data side of the test engine: bytes over TCP, datagrams echoed over UDP.
//!
//! The protocol is the tests' own, as small as a data plane can be. TCP: connect to the granted port, send the grant's token
//! (36 bytes) and one byte of direction (`u`: we send, `d`: the server sends), then bytes flow until somebody has had
//! enough. The server ends by closing. UDP: every datagram starts with the token and comes back unchanged.
//!
//! In: a [`Target`], usually made from a grant. Out: a [`Running`] transfer that counts while it runs, can be stopped,
//! and tells in the end how many bytes moved and who ended it.

mod echo;
mod tcp;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use echo::{Echo, Echoed, echo};
pub use tcp::{EndedBy, HEADER, Limits, Moved, transfer};

use super::answer::Grant;

/// Where data goes, from where, and with which proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The server.
    pub addr: SocketAddr,
    /// Our address; the server serves the granted peer's address only.
    pub source: Option<IpAddr>,
    /// The grant's token.
    pub token: String,
}

impl From<&Grant> for Target {
    fn from(grant: &Grant) -> Self {
        Self { addr: grant.data_addr(), source: Some(grant.local), token: grant.token.clone() }
    }
}

/// Why a transfer never became one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens, or the address is not ours.
    #[error("connect to the data port {addr}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The system refused in a way that is no end of a connection.
    #[error("move data")]
    Io(#[from] io::Error),
    /// The transfer's task panicked.
    #[error("run the transfer")]
    Task(#[from] tokio::task::JoinError),
}

/// A transfer on its own task. Dropping it ends the task and closes its socket.
#[derive(Debug)]
pub struct Running<T> {
    moved: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<T, Error>>,
}

/// What the task of a transfer holds of its handle.
struct Control {
    moved: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

impl<T: Send + 'static> Running<T> {
    fn start<F>(work: impl FnOnce(Control) -> F) -> Self
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let moved = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(work(Control { moved: Arc::clone(&moved), stop: stopped }));
        Self { moved, stop, task }
    }

    /// Bytes moved so far: payload only, without the token.
    pub fn bytes(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Asks the transfer to end; [`Running::finish`] tells how it did.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether it is over already.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end.
    pub async fn finish(mut self) -> Result<T, Error> {
        (&mut self.task).await?
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Control {
    fn add(&self, bytes: usize) {
        self.moved.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn bytes(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Resolves when we are asked to stop. A handle that is gone asks for that, too.
    fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.clone();
        async move { drop(stop.wait_for(|stop| *stop).await) }
    }
}

#[cfg(test)]
mod tests;
