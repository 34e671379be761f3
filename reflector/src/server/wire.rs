//! Frames over a socket: the only file of this room that reads and writes message bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::link::message::Envelope;
use crate::link::{DecodeError, FrameDecoder, FrameError, decode, encode};

use super::limits::{DRAIN_BYTES, DRAIN_TIME, FRAME, GOODBYE, WRITE};

/// Read granularity. Larger frames arrive in several reads; an idle connection holds no buffer of its own.
const READ_CHUNK: usize = 4096;

/// One connection, as frames.
pub(super) struct Wire<S> {
    stream: S,
    decoder: FrameDecoder,
    /// When the first byte of a frame that is not whole yet arrived.
    frame_began: Option<Instant>,
}

/// Why no further frame comes.
#[derive(Debug)]
pub(super) enum ReadEnd {
    /// The peer closed, cleanly or not.
    Closed,
    /// A frame took longer than [`FRAME`].
    Slow,
    /// A frame was announced that is larger than this peer may send.
    Oversized(FrameError),
}

/// Why an answer did not get through.
#[derive(Debug)]
pub(super) enum WriteEnd {
    /// The peer does not read.
    Slow,
    /// The socket is gone.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, decoder: FrameDecoder::new(), frame_began: None }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The largest payload taken from now on.
    pub(super) fn limit(&mut self, payload: usize) {
        self.decoder.set_limit(payload);
    }

    /// The next frame, decoded. Cancel-safe: bytes read before a cancel are kept, and so is the frame's deadline.
    pub(super) async fn read(&mut self) -> Result<Result<Envelope, DecodeError>, ReadEnd> {
        loop {
            if let Some(decoded) = self.decoder.pull().map_err(ReadEnd::Oversized)?.map(decode) {
                self.frame_began = self.decoder.is_mid_frame().then(Instant::now);
                return Ok(decoded);
            }
            let read = read(&mut self.stream, |bytes| self.decoder.push(bytes));
            let result = match self.frame_began {
                Some(began) => timeout_at(began + FRAME, read).await.map_err(|_| ReadEnd::Slow)?,
                None => read.await,
            };
            match result {
                Ok(0) => return Err(ReadEnd::Closed),
                Ok(_) => {
                    self.frame_began.get_or_insert_with(Instant::now);
                }
                Err(error) => {
                    tracing::trace!(%error, "read from peer");
                    return Err(ReadEnd::Closed);
                }
            }
        }
    }

    /// Sends one message. Not cancel-safe: a cancelled write may leave half a frame, so callers close after it.
    pub(super) async fn write(&mut self, envelope: &Envelope) -> Result<(), WriteEnd> {
        let frame = encode(envelope).map_err(|error| {
            tracing::error!(%error, "an answer could not be framed");
            WriteEnd::Broken
        })?;
        let sent = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await
        };
        match timeout(WRITE, sent).await {
            Err(_) => Err(WriteEnd::Slow),
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::trace!(%error, "write to peer");
                Err(WriteEnd::Broken)
            }
        }
    }

    /// Reads and drops a little of what a misbehaving peer is still sending, so that closing the socket does not
    /// reset the connection under the error frame it should read.
    pub(super) async fn drain(&mut self) {
        let mut left = DRAIN_BYTES;
        let reading = async {
            while left > 0 {
                match read(&mut self.stream, |_thrown_away| {}).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => left = left.saturating_sub(n),
                }
            }
        };
        // Running out of time is the expected end.
        let _ = timeout(DRAIN_TIME, reading).await;
    }

    /// Says goodbye if the peer listens, and gives the socket back to be dropped. `linger`: an answer was just sent
    /// that the peer should be able to read, so what it still sends is read away instead of resetting it.
    pub(super) async fn close(mut self, linger: bool) -> S {
        if let Ok(Err(error)) = timeout(GOODBYE, self.stream.shutdown()).await {
            tracing::trace!(%error, "peer was gone before goodbye");
        } else if linger {
            self.drain().await;
        }
        self.stream
    }
}

/// Reads once and hands on what came; zero bytes are the end. The buffer lives on the stack of the thread that reads: as
/// a part of the connection's task it would take its 4 KiB for as long as the connection waits.
async fn read(stream: &mut (impl AsyncRead + Unpin), mut take: impl FnMut(&[u8])) -> io::Result<usize> {
    poll_fn(|context| {
        let mut chunk = [0u8; READ_CHUNK];
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
        take(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}
