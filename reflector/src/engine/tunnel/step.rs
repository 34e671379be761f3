//! One answer of rustls, the same for both sides (pure): what it wants written goes into the output, plaintext to its
//! reader, and what is left to do comes back.

use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};

use super::buffers::Buffer;
use super::tls::Fault;

/// Where one step of rustls led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It went on, and handed out so much plaintext. Ask again.
    Went(usize),
    /// The handshake waits for the peer.
    Blocked,
    /// The handshake is complete; there is no whole record to read.
    Ready,
    /// The peer said it is done.
    PeerClosed,
    /// So did we.
    Closed,
}

/// The means to encrypt, whichever side it is.
pub(super) trait Encrypter {
    /// Records with this plaintext, and what has to leave before them.
    fn encrypt(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<usize, EncryptError>;
    /// `close_notify`.
    fn close(&mut self, out: &mut [u8]) -> Result<usize, EncryptError>;
}

impl<Data> Encrypter for WriteTraffic<'_, Data> {
    fn encrypt(&mut self, plaintext: &[u8], out: &mut [u8]) -> Result<usize, EncryptError> {
        WriteTraffic::encrypt(self, plaintext, out)
    }

    fn close(&mut self, out: &mut [u8]) -> Result<usize, EncryptError> {
        self.queue_close_notify(out)
    }
}

/// What to do with the means to encrypt.
pub(super) type Ready<'a> = &'a mut dyn FnMut(&mut dyn Encrypter, &mut Buffer) -> Result<(), Fault>;

/// Where plaintext goes.
pub(super) struct To<'a> {
    /// Room of its reader.
    pub(super) room: usize,
    /// The reader.
    pub(super) take: &'a mut dyn FnMut(&[u8]),
    /// Where the rest of a record waits.
    pub(super) rest: &'a mut Buffer,
}

/// Handles one status. First: how many bytes of the input are done with.
pub(super) fn drive<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    To { room, take, rest }: To<'_>,
    output: &mut Buffer,
    ready: Option<Ready<'_>>,
) -> (usize, Result<Event, Fault>) {
    let UnbufferedStatus { mut discard, state } = status;
    let event = match state {
        Err(error) => Err(error.into()),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut taken = 0;
            loop {
                match traffic.next_record() {
                    None => break Ok(Event::Went(taken)),
                    Some(Err(error)) => break Err(error.into()),
                    Some(Ok(record)) => {
                        discard += record.discard;
                        let (now, later) = record.payload.split_at(record.payload.len().min(room - taken));
                        if !now.is_empty() {
                            take(now);
                        }
                        taken += now.len();
                        put(rest, later);
                    }
                }
            }
        }
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            encode(output, &mut |out| data.encode(out)).map(|()| Event::Went(0))
        }
        // What it speaks of waits in the output, before everything that is encrypted from now on.
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Event::Went(0))
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Event::Blocked),
        Ok(ConnectionState::WriteTraffic(mut write)) => match ready {
            Some(ready) => ready(&mut write, output).map(|()| Event::Ready),
            None => Ok(Event::Ready),
        },
        Ok(ConnectionState::PeerClosed) => Ok(Event::PeerClosed),
        Ok(ConnectionState::Closed) => Ok(Event::Closed),
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

/// Encrypts into the output, with room for `guess` bytes or as much as it takes.
pub(super) fn fit(
    output: &mut Buffer,
    guess: usize,
    with: &mut dyn FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Fault> {
    let written = match with(output.room_for(guess)) {
        Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
            with(output.room_for(required_size))
        }
        other => other,
    };
    output.filled(written.map_err(|_| Fault::Closed)?);
    Ok(())
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

fn put(rest: &mut Buffer, bytes: &[u8]) {
    if let Some(room) = rest.room_for(bytes.len()).get_mut(..bytes.len()) {
        room.copy_from_slice(bytes);
        rest.filled(bytes.len());
    }
}
