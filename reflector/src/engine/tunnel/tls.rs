//! One TLS 1.3 connection without IO (pure): ciphertext in, plaintext out, and back.
//!
//! rustls' buffered connections copy every byte several times more and move what is left after each record. Here
//! ciphertext is decrypted where it was read, a sink may drop plaintext unseen, and a batch of records is encrypted
//! straight into what is written. The handshake is rustls', and so are the secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crds::EndpointId;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ServerConfig};

use crate::link::tls;

use super::buffers::Buffer;
use super::keys::Finished;
use super::records::{Opened, Records, is_fruitless};
use super::step::{Event, drain_alert, drive, next_record};

pub(super) use super::records::RECORD;

/// Most ciphertext that waits while the handshake lasts, a `ClientHello` in pieces included: ours has about 300 bytes,
/// and a stranger may send it. Test: `a_hello_of_more_than_16_kibibytes_is_refused`.
pub const HANDSHAKE_INPUT: usize = 16 * 1024;

/// Afterwards: one record of the largest kind (RFC 8446 section 5.2) has to fit.
const RECORD_INPUT: usize = 5 + 16 * 1024 + 256;

/// Plaintext that is encrypted and written at once, and the ciphertext that is read at once, while a test runs.
pub const BATCH: usize = 256 * 1024;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Not TLS, a record that was tampered with, a certificate that proves nothing.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The transport ended without `close_notify`: what is missing may be anything.
    #[error("the connection was cut without close_notify")]
    Truncated,
    /// More handshake than any client of ours sends.
    #[error("a handshake message is larger than {HANDSHAKE_INPUT} bytes")]
    HandshakeTooLarge,
    /// Both directions are closed.
    #[error("the connection is closed")]
    Closed,
}

/// What there is after [`Tls::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// So much plaintext, at least one byte.
    Plaintext(usize),
    /// No whole record has arrived.
    Nothing,
    /// The peer said it is done.
    Closed,
}

/// One side of a connection.
pub struct Tls {
    connection: Connection,
    peer: Option<EndpointId>,
    input: Buffer,
    /// How much of it rustls is shown during the handshake: whole records.
    shown: usize,
    output: Buffer,
    /// Plaintext of a record that its reader had no room for.
    rest: Buffer,
    peer_closed: bool,
    closed: bool,
    received: u64,
    sent: u64,
    ciphertext_received: u64,
    fruitless: Option<Arc<AtomicU64>>,
}

/// How far it is.
enum Connection {
    ServerShakes(Box<UnbufferedServerConnection>),
    ClientShakes(Box<UnbufferedClientConnection>),
    Open(Box<Records>),
    /// After a fault: nothing is asked about the same bytes again.
    Broken,
}

impl Tls {
    /// The accepting side.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, Fault> {
        Ok(Self::new(Connection::ServerShakes(Box::new(UnbufferedServerConnection::new(config)?))))
    }

    /// The connecting side.
    pub fn client(config: Arc<ClientConfig>) -> Result<Self, Fault> {
        let connection = UnbufferedClientConnection::new(config, tls::server_name())?;
        Ok(Self::new(Connection::ClientShakes(Box::new(connection))))
    }

    const fn new(connection: Connection) -> Self {
        Self {
            connection,
            peer: None,
            input: Buffer::new(HANDSHAKE_INPUT),
            shown: 0,
            output: Buffer::new(BATCH),
            rest: Buffer::new(RECORD),
            peer_closed: false,
            closed: false,
            received: 0,
            sent: 0,
            ciphertext_received: 0,
            fruitless: None,
        }
    }

    /// Goes on with the handshake. True: it is complete. Write what [`Self::outgoing`] has either way, then feed more.
    pub fn handshake(&mut self) -> Result<bool, Fault> {
        loop {
            let Self { connection, input, output, shown, .. } = self;
            let input_shown = input.pending_mut().get_mut(..*shown).unwrap_or_default();
            let (discard, event) = match connection {
                Connection::Open(_) => return Ok(true),
                Connection::Broken => return Err(Fault::Closed),
                Connection::ServerShakes(tls) => drive(tls.process_tls_records(input_shown), output),
                Connection::ClientShakes(tls) => drive(tls.process_tls_records(input_shown), output),
            };
            input.discard(discard);
            *shown = shown.saturating_sub(discard);
            match event {
                Ok(Event::Went) => {}
                Ok(Event::Blocked) => match next_record(input.pending(), *shown) {
                    // A message may go over several records; it is left where it is until it is whole.
                    Some(end) => *shown = end,
                    None if input.room().is_empty() => return Err(Fault::HandshakeTooLarge),
                    None => return Ok(false),
                },
                Ok(Event::Ready) => self.open()?,
                Ok(Event::Closed) => return Err(Fault::Truncated),
                Err(fault) => {
                    self.alert();
                    self.connection = Connection::Broken;
                    return Err(fault);
                }
            }
        }
    }

    /// Where it is counted when the peer sends too many records without a byte of data.
    pub(super) fn count_fruitless(&mut self, into: Arc<AtomicU64>) {
        self.fruitless = Some(into);
    }

    /// The handshake is complete.
    fn open(&mut self) -> Result<(), Fault> {
        let finished = match std::mem::replace(&mut self.connection, Connection::Broken) {
            Connection::ServerShakes(tls) => {
                self.peer = tls::peer_id_of(&tls);
                Finished::Server(tls)
            }
            Connection::ClientShakes(tls) => {
                self.peer = tls::peer_id_of(&tls);
                Finished::Client(tls)
            }
            Connection::Open(_) | Connection::Broken => return Err(Fault::Closed),
        };
        self.connection = Connection::Open(Box::new(Records::of(finished)?));
        self.input.widen(RECORD_INPUT, false);
        Ok(())
    }

    /// Whose key the handshake proved.
    pub const fn peer(&self) -> Option<EndpointId> {
        self.peer
    }

    /// Room for ciphertext, never empty unless [`Self::read`] has to be called first.
    pub fn room(&mut self) -> &mut [u8] {
        self.input.room()
    }

    /// What was fed and not read, decrypted or not.
    pub fn waiting(&self) -> usize {
        self.input.pending().len().saturating_add(self.rest.pending().len())
    }

    /// So much ciphertext was put there.
    pub fn feed(&mut self, count: usize) {
        self.input.filled(count);
        self.ciphertext_received = self.ciphertext_received.saturating_add(count as u64);
    }

    /// Hands up to `room` bytes of plaintext to `take`, piece by piece. A closure that does nothing drops them unseen.
    pub fn read(&mut self, room: usize, mut take: impl FnMut(&[u8])) -> Result<Got, Fault> {
        let mut taken = self.rest.pending().len().min(room);
        if taken > 0 {
            take(self.rest.pending().get(..taken).unwrap_or_default());
            self.rest.discard(taken);
        }
        while taken < room && !self.peer_closed {
            let Self { connection: Connection::Open(records), input, output, rest, .. } = self else {
                return Err(Fault::Closed);
            };
            let length = match records.open(input.pending_mut()) {
                Ok(None) => break,
                Ok(Some((length, Opened::Data(payload)))) => {
                    let (now, later) = payload.split_at(payload.len().min(room - taken));
                    take(now);
                    taken += now.len();
                    rest.put(later);
                    length
                }
                Ok(Some((length, Opened::Aside))) => length,
                Ok(Some((length, Opened::Goodbye))) => {
                    self.peer_closed = true;
                    length
                }
                Err(error) => {
                    records.complain(&error, output);
                    if is_fruitless(&error)
                        && let Some(count) = &self.fruitless
                    {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    self.connection = Connection::Broken;
                    return Err(error.into());
                }
            };
            input.discard(length);
        }
        self.received = self.received.saturating_add(taken as u64);
        Ok(match taken {
            0 if room > 0 && self.peer_closed => Got::Closed,
            0 => Got::Nothing,
            taken => Got::Plaintext(taken),
        })
    }

    /// Encrypts all of `plaintext` behind what waits to be written.
    pub fn write(&mut self, plaintext: &[u8]) -> Result<(), Fault> {
        self.write_repeated(plaintext, 1)
    }

    /// Encrypts `plaintext` so many times over: what a source sends is always the same.
    pub fn write_repeated(&mut self, plaintext: &[u8], times: usize) -> Result<(), Fault> {
        if plaintext.is_empty() || times == 0 {
            return Ok(());
        }
        match &mut self.connection {
            Connection::Open(records) if !self.closed => records.data(plaintext, times, &mut self.output)?,
            _ => return Err(Fault::Closed),
        }
        self.sent = self.sent.saturating_add((plaintext.len() * times) as u64);
        Ok(())
    }

    /// Says that nothing more comes from us. Once; what the peer sends can still be read.
    pub fn close(&mut self) -> Result<(), Fault> {
        if self.closed {
            return Ok(());
        }
        self.closed = true;
        match &mut self.connection {
            Connection::Open(records) => Ok(records.goodbye(&mut self.output)?),
            _ => Err(Fault::Closed),
        }
    }

    /// Ciphertext that waits to be written.
    pub fn outgoing(&self) -> &[u8] {
        self.output.pending()
    }

    /// So much of it was written.
    pub fn wrote(&mut self, count: usize) {
        self.output.discard(count);
    }

    /// The handshake is over and a test begins: read in batches.
    pub fn widen(&mut self) {
        self.input.widen(BATCH, true);
    }

    /// The peer said it is done.
    pub const fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Payload received and sent: what is accounted for.
    pub const fn payload(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Ciphertext fed in, the handshake included: what the kernel counts as received and read.
    pub const fn ciphertext_received(&self) -> u64 {
        self.ciphertext_received
    }

    /// After a handshake that failed: what rustls wants the peer to hear. Nothing of the input is looked at again.
    fn alert(&mut self) {
        let Self { connection, input, output, .. } = self;
        let mut more = true;
        while more {
            more = match connection {
                Connection::ServerShakes(tls) if tls.wants_write() => {
                    drain_alert(tls.process_tls_records(input.pending_mut()), output)
                }
                Connection::ClientShakes(tls) if tls.wants_write() => {
                    drain_alert(tls.process_tls_records(input.pending_mut()), output)
                }
                _ => false,
            };
        }
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
