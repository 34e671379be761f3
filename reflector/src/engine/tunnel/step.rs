//! One answer of rustls during a handshake, the same for both sides (pure): what it wants written goes into the output,
//! data that came with the last message waits for its reader, and what is left to do comes back.

use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};

use super::buffers::Buffer;
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
    rest: &mut Buffer,
    output: &mut Buffer,
) -> (usize, Result<Event, Fault>) {
    let UnbufferedStatus { mut discard, state } = status;
    let event = match state {
        Err(error) => Err(error.into()),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Event::Went),
                Some(Err(error)) => break Err(error.into()),
                Some(Ok(record)) => {
                    discard += record.discard;
                    rest.put(record.payload);
                }
            }
        },
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
        // Early data, which is never accepted, or what a later rustls adds.
        Ok(_) => Err(Fault::Closed),
    };
    (discard, event)
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
