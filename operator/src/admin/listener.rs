//! Connections of the admin port: few, and each with an end. Slow readers and endless headers run into one of the two.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Most connections: kubelet, Prometheus and a person, many times over. A further one waits in the kernel's queue.
/// Test: `silent_connections_end_and_make_room`.
pub(super) const MAX_CONNECTIONS: usize = 32;
/// Life of a connection, requests and answers together. Longer than any scrape; what is slower is hostile or broken.
pub(super) const MAX_LIFE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: descriptors come back when connections end, and spinning would not hurry them.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct BoundedListener {
    inner: TcpListener,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl BoundedListener {
    pub(super) fn new(inner: TcpListener, stop: CancellationToken) -> Self {
        Self { inner, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)), stop }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    #[expect(clippy::disallowed_methods, reason = "nothing announces that descriptors are free again")]
    #[expect(clippy::expect_used, reason = "nobody closes it")]
    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        let place =
            self.places.clone().acquire_owned().await.expect("invariant: the semaphore is never closed");
        loop {
            match self.inner.accept().await {
                Ok((stream, from)) => {
                    let stop = self.stop.clone();
                    let end = Box::pin(async move {
                        // Either way it is over: out of time, or told to stop.
                        let _ = tokio::time::timeout(MAX_LIFE, stop.cancelled()).await;
                    });
                    return (BoundedStream { stream, end, _place: place }, from);
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "accept on the admin port");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that fails at its end.
pub(super) struct BoundedStream {
    stream: TcpStream,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

impl BoundedStream {
    fn is_over(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_over(context)?;
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_over(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_over(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
