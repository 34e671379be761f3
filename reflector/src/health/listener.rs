//! Connections of the health port, each with an end: in time, in bytes, and when the port is full. Slow readers,
//! slow writers and endless headers all run into one of them.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::engine::BoxFuture;
use crate::metrics::Metrics;
use crate::network::source_key;

use super::crowd::Crowd;

/// Life of a connection, requests and answers together. Longer than any scrape; what is slower is hostile or broken.
/// Test: `a_slow_header_ends_with_the_connection`.
pub(super) const MAX_LIFE: Duration = Duration::from_secs(10);
/// Bytes a connection may send: a few requests with browser headers. There is no body to send.
/// Test: `an_endless_header_ends_the_connection`.
pub(super) const MAX_BYTES: usize = 16 * 1024;
/// Pause after a failed accept: descriptors come back when connections end, and spinning would not hurry them.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Open = Arc<Mutex<Crowd<CancellationToken>>>;

/// A listener whose connections are few and end.
pub(super) struct BoundedListener {
    inner: TcpListener,
    open: Open,
    metrics: Metrics,
    cancel: CancellationToken,
}

impl BoundedListener {
    pub(super) fn new(inner: TcpListener, metrics: Metrics, cancel: CancellationToken) -> Self {
        Self { inner, open: Arc::new(Mutex::new(Crowd::new())), metrics, cancel }
    }

    fn admit(&self, stream: TcpStream, from: SocketAddr) -> BoundedStream {
        let stop = self.cancel.child_token();
        let (number, gone) = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .enter(source_key(from.ip()), stop.clone());
        if let Some(gone) = gone {
            gone.cancel();
            self.metrics.health_connection_dropped();
        }
        let end = Box::pin(async move {
            // Either way it is over: out of time, or thrown out.
            let _ = tokio::time::timeout(MAX_LIFE, stop.cancelled()).await;
        });
        BoundedStream { stream, end, left: MAX_BYTES, place: Place { number, open: self.open.clone() } }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    #[expect(clippy::disallowed_methods, reason = "nothing announces that descriptors are free again")]
    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        loop {
            match self.inner.accept().await {
                Ok((stream, from)) => return (self.admit(stream, from), from),
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "accept on the health port");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// Frees the place of a connection when it is dropped.
struct Place {
    number: u64,
    open: Open,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).leave(self.number);
    }
}

/// A connection that ends.
pub(super) struct BoundedStream {
    stream: TcpStream,
    end: BoxFuture<()>,
    left: usize,
    #[expect(dead_code, reason = "held for what happens when it is dropped")]
    place: Place,
}

impl BoundedStream {
    /// An error once the connection's time is over. Polled by reads and writes alike, so either wakes up then.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A future that has finished must not be polled again; the error below ends the connection, but hyper may
        // still try to flush it.
        if self.left == 0 || self.end.as_mut().poll(cx).is_ready() {
            self.left = 0;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let room = buf.remaining().min(self.left);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        self.left = self.left.saturating_sub(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
