//! One answer of rustls during a handshake, the same for both sides (pure): what it wants written goes into the output, and
//! what is left to do comes back.
//!
//! It is shown a record at a time. One that comes in the same flight as the peer's last message belongs to the open
//! connection: rustls would answer a key update among them with one of its own, which it keeps for its next record and which
//! is lost when it hands over its keys.

use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};

use super::buffers::Buffer;
use super::keys::{HEADER, MAX_CIPHERTEXT};
use super::tls::Fault;

/// Where one step of rustls led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It went on. Ask again.
    Went,
    /// The handshake waits for the peer.
    Blocked,
    /// The handshake is complete; there is no whole record to read.
    Ready,
    /// A side said it is done.
    Closed,
}

/// Handles one status. First: how many bytes of the input are done with.
pub(super) fn drive<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    output: &mut Buffer,
) -> (usize, Result<Event, Fault>) {
    let UnbufferedStatus { discard, state } = status;
    let event = match state {
        Err(error) => Err(error.into()),
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            encode(output, &mut |out| data.encode(out)).map(|()| Event::Went)
        }
        // What it speaks of waits in the output, before everything that is encrypted from now on.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Event::Went)
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Event::Blocked),
        Ok(ConnectionState::WriteTraffic(_)) => Ok(Event::Ready),
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Event::Closed),
        // Early data, which is never accepted, data, which it is not shown, or what a later rustls adds.
        Ok(_) => Err(Fault::Closed),
    };
    (discard, event)
}

/// Where the first record of `input` ends behind the first `shown` bytes. `None`: it is not whole yet. What is no record at all
/// is shown as it is, to be complained about.
pub(super) fn next_record(input: &[u8], shown: usize) -> Option<usize> {
    let left = input.get(shown..)?;
    let ([kind, major, _, high, low], _) = left.split_first_chunk::<HEADER>()?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if !(20..=23).contains(kind) || *major != 3 || length > MAX_CIPHERTEXT {
        return Some(input.len());
    }
    let end = shown + HEADER + length;
    (end <= input.len()).then_some(end)
}

/// After an error: takes out what is to be written, and says whether there was something.
pub(super) fn drain_alert<Data>(status: UnbufferedStatus<'_, '_, Data>, output: &mut Buffer) -> bool {
    match status.state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => encode(output, &mut |out| data.encode(out)).is_ok(),
        _ => false,
    }
}

fn encode(
    output: &mut Buffer,
    with: &mut dyn FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), Fault> {
    let written = match with(output.room_for(0)) {
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
            with(output.room_for(required_size))
        }
        other => other,
    };
    output.filled(written.map_err(|_| Fault::Closed)?);
    Ok(())
}
