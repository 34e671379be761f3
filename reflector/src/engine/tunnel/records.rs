//! What the two ends of an open connection say to each other (pure): data, and beside it key updates, goodbyes and
//! alerts (RFC 8446 sections 4.6.3, 5 and 6).

use rustls::{AlertDescription, ContentType, Error, HandshakeType, InvalidMessage, PeerMisbehaved};

use super::buffers::Buffer;
use super::keys::{Finished, HEADER, Keys, MAX_CIPHERTEXT, TRAILER};

/// Plaintext in a record of ours.
pub(super) const RECORD: usize = 16 * 1024;

/// Records without a byte of data, one after the other: more only make us work. rustls tolerates as many. Counted as
/// `reflector_tunnel_fruitless_total`. Test: `a_peer_that_only_changes_keys_is_ended`.
const MAX_FRUITLESS: u8 = 32;

/// Content types.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// Levels of an alert.
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// A key update that asks for none in return.
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];

/// Room for a key update, which may go before any record.
const UPDATE_BYTES: usize = HEADER + KEY_UPDATE.len() + TRAILER;

/// What was in a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened<'a> {
    /// Payload, possibly none.
    Data(&'a [u8]),
    /// Nothing for us to do.
    Aside,
    /// The peer is done.
    Goodbye,
}

/// Both directions after the handshake.
pub(super) struct Records {
    keys: Keys,
    /// The peer wants us to change our key before we send anything else.
    update_due: bool,
    fruitless: u8,
}

impl Records {
    pub(super) fn of(finished: Finished) -> Result<Self, Error> {
        Ok(Self { keys: Keys::of(finished)?, update_due: false, fruitless: 0 })
    }

    /// Opens the first record of `input`: how many bytes it takes, and what it says. `None`: it is not whole.
    pub(super) fn open<'a>(&mut self, input: &'a mut [u8]) -> Result<Option<(usize, Opened<'a>)>, Error> {
        let Some(([kind, _, _, high, low], rest)) = input.split_first_chunk_mut::<HEADER>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind != DATA {
            return Err(unexpected(ContentType::from(*kind)));
        }
        if length > MAX_CIPHERTEXT {
            return Err(Error::PeerSentOversizedRecord);
        }
        let Some(ciphertext) = rest.get_mut(..length) else { return Ok(None) };
        let record = self.keys.open(ciphertext)?;
        if record.typ == ContentType::ApplicationData && !record.payload.is_empty() {
            self.fruitless = 0;
            return Ok(Some((HEADER + length, Opened::Data(record.payload))));
        }
        self.fruitless += 1;
        if self.fruitless > MAX_FRUITLESS {
            return Err(PeerMisbehaved::TooManyKeyUpdateRequests.into());
        }
        let opened = match record.typ {
            ContentType::ApplicationData => Opened::Aside,
            ContentType::Alert => alert(record.payload)?,
            ContentType::Handshake => self.handshake(record.payload)?,
            other => return Err(unexpected(other)),
        };
        Ok(Some((HEADER + length, opened)))
    }

    /// After a handshake there are key updates only: tickets are offered and kept by nobody here.
    fn handshake(&mut self, message: &[u8]) -> Result<Opened<'static>, Error> {
        match message {
            [24, 0, 0, 1, asks @ (0 | 1)] => {
                self.update_due |= *asks == 1;
                self.keys.next_to_open()?;
                Ok(Opened::Aside)
            }
            [24, 0, 0, 1, _] => Err(InvalidMessage::InvalidKeyUpdate.into()),
            [24, 0, 0, 1, _, ..] => Err(PeerMisbehaved::KeyEpochWithPendingFragment.into()),
            other => Err(Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::KeyUpdate],
                got_type: HandshakeType::from(other.first().copied().unwrap_or(u8::MAX)),
            }),
        }
    }

    /// Seals `plaintext` so many times over.
    pub(super) fn data(&mut self, plaintext: &[u8], times: usize, out: &mut Buffer) -> Result<(), Error> {
        let each = plaintext.len() + plaintext.len().div_ceil(RECORD) * (HEADER + TRAILER);
        // At once: what waits is moved at most one time.
        out.room_for(each.saturating_mul(times).saturating_add(UPDATE_BYTES));
        for _ in 0..times {
            for record in plaintext.chunks(RECORD) {
                self.seal(DATA, record, out)?;
            }
        }
        Ok(())
    }

    /// Says that nothing more comes from us.
    pub(super) fn goodbye(&mut self, out: &mut Buffer) -> Result<(), Error> {
        self.seal(ALERT, &[WARNING, AlertDescription::CloseNotify.into()], out)
    }

    /// Says why we go. A peer that said so itself is told nothing.
    pub(super) fn complain(&mut self, about: &Error, out: &mut Buffer) {
        let description = match about {
            Error::AlertReceived(_) => return,
            Error::DecryptError => AlertDescription::BadRecordMac,
            Error::PeerSentOversizedRecord => AlertDescription::RecordOverflow,
            Error::InvalidMessage(InvalidMessage::InvalidKeyUpdate) => AlertDescription::IllegalParameter,
            Error::InvalidMessage(_) => AlertDescription::DecodeError,
            Error::EncryptError | Error::General(_) => AlertDescription::InternalError,
            _ => AlertDescription::UnexpectedMessage,
        };
        // Where nothing can be sealed any more, the end of the connection has to say it.
        let _ = self.seal(ALERT, &[FATAL, description.into()], out);
    }

    fn seal(&mut self, kind: u8, payload: &[u8], out: &mut Buffer) -> Result<(), Error> {
        if self.update_due || self.keys.is_worn() {
            self.put(HANDSHAKE, &KEY_UPDATE, out)?;
            self.keys.next_to_seal()?;
            self.update_due = false;
        }
        self.put(kind, payload, out)
    }

    fn put(&mut self, kind: u8, payload: &[u8], out: &mut Buffer) -> Result<(), Error> {
        let room = out.room_for(HEADER + payload.len() + TRAILER);
        let length = self.keys.seal(kind, payload, room)?;
        out.filled(length);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn is_worn(&self) -> bool {
        self.keys.is_worn()
    }

    #[cfg(test)]
    pub(super) fn wear_out_after(&mut self, records: u64) {
        self.keys.wear_out_after(records);
    }
}

/// Every alert ends a connection, in its own way; but some implementations say `user_canceled` for nothing.
fn alert(message: &[u8]) -> Result<Opened<'static>, Error> {
    match message {
        [WARNING | FATAL, description] => match AlertDescription::from(*description) {
            AlertDescription::CloseNotify => Ok(Opened::Goodbye),
            AlertDescription::UserCanceled => Ok(Opened::Aside),
            other => Err(Error::AlertReceived(other)),
        },
        _ => Err(InvalidMessage::MessageTooShort.into()),
    }
}

/// Whether this is what [`MAX_FRUITLESS`] ends a connection with.
pub(super) fn is_fruitless(error: &Error) -> bool {
    matches!(error, Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests))
}

fn unexpected(got_type: ContentType) -> Error {
    Error::InappropriateMessage { expect_types: vec![ContentType::ApplicationData], got_type }
}
