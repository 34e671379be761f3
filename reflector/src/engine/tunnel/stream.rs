//! One TLS data connection on a tokio socket: handshake with a deadline, then a stream like any other.
//!
//! Bulk does not flow through here: a data thread takes the connection over with [`TunnelStream::into_blocking`]. What
//! does is iperf3's control channel, cookies, and datagrams of few per second.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crds::EndpointId;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::link::tls::ServerRefused;

use super::blocking::Blocking;
use super::hello::{self, HEADER, HelloError};
use super::tls::{Fault, Got, Tls};

/// One deadline over the whole TLS handshake, like that of a control connection.
/// Test: `a_handshake_that_stops_half_way_is_ended`.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// From the end of the handshake to the end of the first frame, and for its answer.
/// Test: `a_connection_that_never_says_its_stream_is_ended`.
pub const FIRST_FRAME: Duration = Duration::from_secs(10);

/// For an alert or a refusal to leave before the socket is dropped.
const GOODBYE: Duration = Duration::from_millis(250);

/// Plaintext that one call of a writer encrypts at most.
const CHUNK: usize = 64 * 1024;

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a handshake.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Another key answered than the pinned one.
    #[error(transparent)]
    Server(#[from] ServerRefused),
    /// The transport broke.
    #[error("move bytes of a data connection")]
    Transport(#[from] io::Error),
    /// It took too long.
    #[error("{during} took more than {} s", limit.as_secs())]
    Timeout {
        /// What.
        during: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The frame after the handshake is none.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// The other side said no; its reason.
    #[error("the reflector refused this stream: {0}")]
    Refused(String),
}

/// A data connection whose handshake is complete.
pub struct TunnelStream {
    tcp: TcpStream,
    tls: Tls,
    peer: EndpointId,
}

impl TunnelStream {
    /// The accepting side. `received` is what was read of the connection already, usually nothing.
    pub async fn accept(
        tcp: TcpStream,
        received: &[u8],
        config: Arc<ServerConfig>,
    ) -> Result<Self, OpenError> {
        let mut tls = Tls::server(config)?;
        let mut left = received;
        while !left.is_empty() {
            let room = tls.room();
            let (now, later) = left.split_at(left.len().min(room.len()));
            if now.is_empty() {
                return Err(Fault::HandshakeTooLarge.into());
            }
            for (to, from) in room.iter_mut().zip(now) {
                *to = *from;
            }
            tls.feed(now.len());
            left = later;
        }
        Self::shake(tcp, tls).await
    }

    /// The connecting side.
    pub async fn connect(tcp: TcpStream, config: Arc<ClientConfig>) -> Result<Self, OpenError> {
        let shaken = Self::shake(tcp, Tls::client(config)?).await;
        shaken.map_err(|error| match &error {
            OpenError::Fault(Fault::Tls(cause)) => match ServerRefused::in_error(cause) {
                Some(refused) => OpenError::Server(refused.clone()),
                None => error,
            },
            _ => error,
        })
    }

    async fn shake(mut tcp: TcpStream, mut tls: Tls) -> Result<Self, OpenError> {
        let during = "the TLS handshake";
        let shaken = timeout(HANDSHAKE, handshake(&mut tcp, &mut tls)).await;
        match shaken.unwrap_or(Err(OpenError::Timeout { during, limit: HANDSHAKE })) {
            Ok(peer) => Ok(Self { tcp, tls, peer }),
            Err(error) => {
                // The alert tells the other side why; without it there is only a closed socket.
                let _ = timeout(GOODBYE, async {
                    tcp.write_all(tls.outgoing()).await?;
                    tcp.shutdown().await
                })
                .await;
                Err(error)
            }
        }
    }

    /// Where it is counted when the peer sends too many records without a byte of data.
    pub(super) fn count_fruitless(&mut self, into: Arc<AtomicU64>) {
        self.tls.count_fruitless(into);
    }

    /// Whose key the handshake proved.
    pub const fn peer(&self) -> EndpointId {
        self.peer
    }

    /// The socket, for its options and what the kernel counts.
    pub const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Ciphertext read from the socket since it was opened: the rest of what the kernel counts as received is unread.
    pub const fn ciphertext_received(&self) -> u64 {
        self.tls.ciphertext_received()
    }

    /// For a data thread. What was read and not yet asked for goes along.
    pub fn into_blocking(self) -> io::Result<Blocking> {
        Blocking::new(self.tcp.into_std()?, self.tls)
    }

    /// The payload of the next frame of the opening. Reads not one byte beyond it.
    pub(super) async fn frame(&mut self) -> Result<Vec<u8>, OpenError> {
        let during = "the first frame";
        let reading = async {
            let mut header = [0; HEADER];
            self.read_exact(&mut header).await?;
            let mut payload = vec![0; hello::length(header)?];
            self.read_exact(&mut payload).await?;
            Ok(payload)
        };
        timeout(FIRST_FRAME, reading).await.unwrap_or(Err(OpenError::Timeout { during, limit: FIRST_FRAME }))
    }

    /// Sends a frame of the opening.
    pub(super) async fn say(&mut self, frame: &[u8]) -> Result<(), OpenError> {
        let during = "writing the first frame";
        let writing = async {
            self.write_all(frame).await?;
            self.flush().await?;
            Ok(())
        };
        timeout(FIRST_FRAME, writing).await.unwrap_or(Err(OpenError::Timeout { during, limit: FIRST_FRAME }))
    }

    /// Says goodbye, if the other side listens, and closes.
    pub async fn close(mut self) {
        // Out of time is as good: the socket is dropped either way.
        let _ = timeout(GOODBYE, self.shutdown()).await;
    }
}

async fn handshake(tcp: &mut TcpStream, tls: &mut Tls) -> Result<EndpointId, OpenError> {
    loop {
        let done = tls.handshake()?;
        while !tls.outgoing().is_empty() {
            let written = tcp.write(tls.outgoing()).await?;
            tls.wrote(written);
        }
        if done {
            // A handshake of ours is never complete without a certificate.
            return tls.peer().ok_or_else(|| Fault::Closed.into());
        }
        match tcp.read(tls.room()).await? {
            0 => return Err(Fault::Truncated.into()),
            count => tls.feed(count),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        let kind = match &fault {
            Fault::Truncated => io::ErrorKind::UnexpectedEof,
            Fault::Tls(_) | Fault::HandshakeTooLarge => io::ErrorKind::InvalidData,
            Fault::Closed => io::ErrorKind::NotConnected,
        };
        Self::new(kind, fault)
    }
}

impl TunnelStream {
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.tls.outgoing().is_empty() {
            match ready!(Pin::new(&mut self.tcp).poll_write(cx, self.tls.outgoing()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.tls.wrote(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match this.tls.read(buf.remaining(), |bytes| buf.put_slice(bytes))? {
                Got::Plaintext(_) | Got::Closed => return Poll::Ready(Ok(())),
                Got::Nothing => {}
            }
            let mut room = ReadBuf::new(this.tls.room());
            ready!(Pin::new(&mut this.tcp).poll_read(cx, &mut room))?;
            match room.filled().len() {
                0 => return Poll::Ready(Err(Fault::Truncated.into())),
                count => this.tls.feed(count),
            }
        }
    }
}

impl AsyncWrite for TunnelStream {
    /// Bytes that were taken may still wait here: flush before waiting for an answer.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_written(cx))?;
        let now = buf.get(..buf.len().min(CHUNK)).unwrap_or_default();
        self.tls.write(now)?;
        // Taken whether or not the socket has room now.
        if let Poll::Ready(written) = self.poll_written(cx) {
            written?;
        }
        Poll::Ready(Ok(now.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_written(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tls.close()?;
        ready!(self.poll_written(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl std::fmt::Debug for TunnelStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TunnelStream").field("peer", &self.peer).finish_non_exhaustive()
    }
}
