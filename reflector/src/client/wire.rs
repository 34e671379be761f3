//! Frames over the client's socket. The server's side has other limits and other worries (`server/wire.rs`).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::LinkError;
use crate::link::message::{Envelope, Message};
use crate::link::{DecodeErrorKind, FrameDecoder, decode, encode};

/// Answers are a few hundred bytes.
const CHUNK: usize = 4096;

/// A connection as messages.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    decoder: FrameDecoder,
    chunk: Box<[u8]>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, decoder: FrameDecoder::new(), chunk: vec![0; CHUNK].into_boxed_slice() }
    }

    pub(super) const fn stream(&self) -> &S {
        &self.stream
    }

    /// The next message we know. One of a type from the future is skipped: an older client must not fail because the
    /// reflector learned to say more. Cancel-safe.
    pub(super) async fn read(&mut self, during: &'static str) -> Result<Envelope, LinkError> {
        loop {
            while let Some(payload) = self.decoder.pull()? {
                match decode(payload) {
                    Ok(envelope) => return Ok(envelope),
                    Err(error) if matches!(error.kind, DecodeErrorKind::UnknownType { .. }) => {
                        tracing::debug!(%error, "message skipped");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            match self.stream.read(&mut self.chunk).await {
                Ok(0) => return Err(LinkError::Closed { during }),
                Ok(n) => self.decoder.push(self.chunk.get(..n).unwrap_or_default()),
                Err(error) if is_hangup(&error) => return Err(LinkError::Closed { during }),
                Err(source) => return Err(LinkError::Broken { during, source }),
            }
        }
    }

    /// Sends one message. Not cancel-safe: half a frame may have left, so a caller that gives up closes.
    pub(super) async fn write(&mut self, envelope: &Envelope, during: &'static str) -> Result<(), LinkError> {
        let frame = encode(envelope)?;
        let sent = async {
            self.stream.write_all(&frame).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|source| LinkError::Broken { during, source })
    }

    /// Says goodbye.
    pub(super) async fn shutdown(&mut self) {
        if let Err(error) = self.stream.shutdown().await {
            tracing::trace!(%error, "reflector was gone before goodbye");
        }
    }
}

/// A peer that closes without `close_notify` has closed all the same: frames are self-delimiting.
fn is_hangup(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

/// The wire name of a message, for errors.
pub(super) const fn name(message: &Message) -> &'static str {
    match message {
        Message::Hello { .. } => "hello",
        Message::ServerHello(_) => "server_hello",
        Message::SessionRequest { .. } => "session_request",
        Message::SessionGrant(_) => "session_grant",
        Message::SessionDeny { .. } => "session_deny",
        Message::SessionClose { .. } => "session_close",
        Message::GetStatus => "get_status",
        Message::StatusSnapshot(_) => "status_snapshot",
        Message::GetPathMeta => "get_path_meta",
        Message::PathMeta(_) => "path_meta",
        Message::PairRequest { .. } => "pair_request",
        Message::PairResponse { .. } => "pair_response",
        Message::Ok => "ok",
        Message::Error { .. } => "error",
        Message::SessionResult(_) => "session_result",
    }
}
