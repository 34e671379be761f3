//! From a message to a frame.

use super::frame::{FrameError, HEADER, header};
use super::message::Envelope;

/// A whole frame with this envelope, in one buffer.
pub fn encode(envelope: &Envelope) -> Result<Vec<u8>, EncodeError> {
    let mut frame = vec![0; HEADER];
    serde_json::to_writer(&mut frame, envelope).map_err(EncodeError::Json)?;
    let announced = header(frame.len() - HEADER).map_err(EncodeError::Frame)?;
    if let Some(front) = frame.first_chunk_mut::<HEADER>() {
        *front = announced;
    }
    Ok(frame)
}

/// Why a message of ours cannot be sent: a bug, never the peer's doing.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Does not become JSON.
    #[error("write message as JSON")]
    Json(#[source] serde_json::Error),
    /// Too large.
    #[error("frame message")]
    Frame(#[source] FrameError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::reply::{self, INTERNAL};

    #[test]
    fn a_message_that_does_not_fit_a_frame_is_not_sent() {
        let huge = reply::error("r", INTERNAL, "x".repeat(crate::link::frame::MAX_PAYLOAD));
        assert!(matches!(encode(&huge), Err(EncodeError::Frame(FrameError::Oversized { .. }))));
    }
}
