//! The control connection of a test, over whatever carries it: one message at a time, each with a deadline.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::engine::iperf::reader::{ReaderError, frame};
use crate::engine::iperf::{ControlReader, Cookie, State};

/// A cookie is one segment: whoever has not sent it by now does not speak iperf3, or is slow on purpose
/// (test `half_a_cookie_is_reset_after_its_deadline`).
pub(super) const COOKIE_WITHIN: Duration = Duration::from_secs(3);

/// A message that is due; generous for a slow link, short for a silent peer
/// (test `silent_after_the_end_keeps_our_numbers`).
pub(super) const MESSAGE_WITHIN: Duration = Duration::from_secs(5);

/// After the last byte the other side gets this long to read it: a reset that overtakes it would take it away.
const LAST_BYTE_WITHIN: Duration = Duration::from_millis(100);

/// Read at once. Parameters are shorter, results often too.
const PIECE: usize = 2048;

/// Why a message did not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    /// The client hung up.
    #[error("the client closed the control connection")]
    Closed,
    /// The connection broke.
    #[error("read or write the control connection")]
    Broken(#[from] io::Error),
    /// The client sent what makes no sense.
    #[error(transparent)]
    Unreadable(#[from] ReaderError),
    /// The client sent nothing in time.
    #[error("wait for the client on the control connection")]
    Silent,
}

/// One side of a control connection.
pub(super) struct Control<S> {
    stream: S,
    reader: ControlReader,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Control<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, reader: ControlReader::new() }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// The first 37 bytes.
    pub(super) async fn cookie(&mut self) -> Result<Cookie, ControlError> {
        self.item(COOKIE_WITHIN, ControlReader::cookie).await
    }

    /// A JSON text that is due.
    pub(super) async fn json(&mut self, limit: usize) -> Result<Vec<u8>, ControlError> {
        self.item(MESSAGE_WITHIN, |reader| reader.json(limit)).await
    }

    /// Before the JSON text of a client that may have ended its test just when it was told that it is over: whether it has.
    pub(super) async fn late_end(&mut self) -> Result<bool, ControlError> {
        let next = |reader: &mut ControlReader| Ok((!reader.is_empty()).then(|| reader.skip_late_end()));
        self.item(MESSAGE_WITHIN, next).await
    }

    /// A state that is due.
    pub(super) async fn state(&mut self) -> Result<State, ControlError> {
        self.item(MESSAGE_WITHIN, ControlReader::state).await
    }

    /// A state that may come at any time. Cancel-safe: what was read stays.
    pub(super) async fn any_state(&mut self) -> Result<State, ControlError> {
        self.wait(ControlReader::state).await
    }

    async fn item<T>(
        &mut self,
        within: Duration,
        next: impl FnMut(&mut ControlReader) -> Result<Option<T>, ReaderError>,
    ) -> Result<T, ControlError> {
        timeout(within, self.wait(next)).await.unwrap_or(Err(ControlError::Silent))
    }

    async fn wait<T>(
        &mut self,
        mut next: impl FnMut(&mut ControlReader) -> Result<Option<T>, ReaderError>,
    ) -> Result<T, ControlError> {
        let mut piece = [0; PIECE];
        loop {
            if let Some(item) = next(&mut self.reader)? {
                return Ok(item);
            }
            let count = self.stream.read(&mut piece).await?;
            match piece.get(..count) {
                Some([]) | None => return Err(ControlError::Closed),
                Some(bytes) => self.reader.push(bytes),
            }
        }
    }

    /// Sends a state.
    pub(super) async fn tell(&mut self, state: State) -> Result<(), ControlError> {
        self.send(&[state.byte()]).await
    }

    /// Sends a JSON text.
    pub(super) async fn send_json(&mut self, json: &[u8]) -> Result<(), ControlError> {
        self.send(&frame(json)).await
    }

    /// Sends bytes at once.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), ControlError> {
        let send = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        Ok(timeout(MESSAGE_WITHIN, send).await.map_err(|_| ControlError::Silent)??)
    }

    /// Sends the last bytes and sees them off.
    pub(super) async fn say_last(mut self, bytes: &[u8]) {
        say_last(&mut self.stream, bytes).await;
    }
}

/// Sends the last bytes of a connection, and waits a moment for the other side to hang up.
pub(super) async fn say_last<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) {
    let goodbye = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        let mut rest = [0; 64];
        while stream.read(&mut rest).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    // Whatever went wrong: it is over.
    let _ = timeout(LAST_BYTE_WITHIN, goodbye).await;
}
