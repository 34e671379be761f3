//! One TLS 1.3 connection without IO (pure): ciphertext in, plaintext out, and back.
//!
//! rustls' buffered connections copy every byte twice more and move what is left after each record. Here ciphertext is
//! decrypted where it was read, a sink may drop plaintext unseen, and a batch of records is encrypted straight into what
//! is written. rustls answers key updates and makes its own when keys wear out; both are in the order of what it hands
//! out, so they need nothing but that order.

use std::sync::Arc;

use crds::EndpointId;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, CommonState, ServerConfig};

use crate::link::tls;

use super::buffers::Buffer;
use super::step::{Event, Ready, To, drain_alert, drive, fit};

/// Most ciphertext that waits while the handshake lasts, a `ClientHello` in pieces included: ours has about 300 bytes,
/// and a stranger may send it. Test: `a_hello_of_more_than_16_kibibytes_is_refused`.
pub const HANDSHAKE_INPUT: usize = 16 * 1024;

/// Afterwards: one record of the largest kind (RFC 8446 section 5.2) has to fit.
const RECORD_INPUT: usize = 5 + 16 * 1024 + 256;

/// Plaintext that is encrypted and written at once, and the ciphertext that is read at once, while a test runs.
pub const BATCH: usize = 256 * 1024;

/// Plaintext in a record of ours.
pub(super) const RECORD: usize = 16 * 1024;

/// What a record adds: header, type, tag.
const RECORD_EXTRA: usize = 5 + 1 + 16;

/// For a key update or an alert that leaves with a batch.
const MESSAGE_EXTRA: usize = 256;

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
    input: Buffer,
    output: Buffer,
    /// Plaintext of a record that its reader had no room for.
    rest: Buffer,
    phase: Phase,
    peer_closed: bool,
    closed: bool,
    received: u64,
    sent: u64,
    ciphertext_received: u64,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshake,
    Open,
    /// After a fault. rustls must not be asked about the same bytes again.
    Broken,
}

enum Connection {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

impl Tls {
    /// The accepting side.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, Fault> {
        Ok(Self::new(Connection::Server(Box::new(UnbufferedServerConnection::new(config)?))))
    }

    /// The connecting side.
    pub fn client(config: Arc<ClientConfig>) -> Result<Self, Fault> {
        let connection = UnbufferedClientConnection::new(config, tls::server_name())?;
        Ok(Self::new(Connection::Client(Box::new(connection))))
    }

    const fn new(connection: Connection) -> Self {
        Self {
            connection,
            input: Buffer::new(HANDSHAKE_INPUT),
            output: Buffer::new(BATCH),
            rest: Buffer::new(RECORD),
            phase: Phase::Handshake,
            peer_closed: false,
            closed: false,
            received: 0,
            sent: 0,
            ciphertext_received: 0,
        }
    }

    /// Goes on with the handshake. True: it is complete. Write what [`Self::outgoing`] has either way, then feed more.
    pub fn handshake(&mut self) -> Result<bool, Fault> {
        while self.phase != Phase::Open {
            match self.step(0, &mut |_| {}, None)? {
                Event::Went(_) => {}
                Event::Blocked if self.input.room().is_empty() => return Err(Fault::HandshakeTooLarge),
                Event::Blocked => return Ok(false),
                Event::Ready => {
                    self.input.widen(RECORD_INPUT, false);
                    self.phase = Phase::Open;
                }
                Event::PeerClosed | Event::Closed => return Err(Fault::Truncated),
            }
        }
        Ok(true)
    }

    /// Whose key the handshake proved.
    pub fn peer(&self) -> Option<EndpointId> {
        tls::peer_id_of(self.state())
    }

    /// Room for ciphertext, never empty unless [`Self::read`] has to be called first.
    pub fn room(&mut self) -> &mut [u8] {
        self.input.room()
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
            match self.step(room - taken, &mut take, None)? {
                Event::Went(count) => taken += count,
                Event::PeerClosed => {}
                Event::Blocked | Event::Ready | Event::Closed => break,
            }
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
        self.encrypt(plaintext, 1)
    }

    /// Encrypts `plaintext` so many times over: what a source sends is always the same.
    pub fn write_repeated(&mut self, plaintext: &[u8], times: usize) -> Result<(), Fault> {
        self.encrypt(plaintext, times)
    }

    /// Says that nothing more comes from us. Once; what the peer sends can still be read.
    pub fn close(&mut self) -> Result<(), Fault> {
        if self.closed {
            return Ok(());
        }
        self.closed = true;
        self.when_ready(&mut |encrypter, output| fit(output, MESSAGE_EXTRA, &mut |out| encrypter.close(out)))
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

    fn encrypt(&mut self, plaintext: &[u8], times: usize) -> Result<(), Fault> {
        if plaintext.is_empty() || times == 0 {
            return Ok(());
        }
        if self.closed {
            return Err(Fault::Closed);
        }
        let records = plaintext.len().div_ceil(RECORD);
        let needed = plaintext.len() + records * RECORD_EXTRA;
        self.when_ready(&mut |encrypter, output| {
            output.room_for(needed.saturating_mul(times).saturating_add(MESSAGE_EXTRA));
            (0..times).try_for_each(|_| fit(output, needed, &mut |out| encrypter.encrypt(plaintext, out)))
        })?;
        self.sent = self.sent.saturating_add((plaintext.len() * times) as u64);
        Ok(())
    }

    /// Runs `with` once rustls has nothing else to do first. Plaintext that has arrived meanwhile waits for its reader.
    fn when_ready(&mut self, with: Ready<'_>) -> Result<(), Fault> {
        loop {
            match self.step(0, &mut |_| {}, Some(&mut *with))? {
                Event::Went(_) | Event::PeerClosed => {}
                Event::Ready => return Ok(()),
                Event::Blocked | Event::Closed => return Err(Fault::Closed),
            }
        }
    }

    fn step(
        &mut self,
        room: usize,
        take: &mut dyn FnMut(&[u8]),
        ready: Option<Ready<'_>>,
    ) -> Result<Event, Fault> {
        if self.phase == Phase::Broken {
            return Err(Fault::Closed);
        }
        let Self { connection, input, output, rest, .. } = self;
        let to = To { room, take, rest };
        let (discard, event) = match connection {
            Connection::Server(tls) => drive(tls.process_tls_records(input.pending_mut()), to, output, ready),
            Connection::Client(tls) => drive(tls.process_tls_records(input.pending_mut()), to, output, ready),
        };
        input.discard(discard);
        match &event {
            Ok(Event::PeerClosed) => self.peer_closed = true,
            Ok(_) => {}
            Err(_) => {
                self.phase = Phase::Broken;
                self.alert();
            }
        }
        event
    }

    /// What rustls wants the peer to hear before the connection goes. Nothing of the input is looked at again.
    fn alert(&mut self) {
        while self.state().wants_write() {
            let Self { connection, input, output, .. } = self;
            let more = match connection {
                Connection::Server(tls) => drain_alert(tls.process_tls_records(input.pending_mut()), output),
                Connection::Client(tls) => drain_alert(tls.process_tls_records(input.pending_mut()), output),
            };
            if !more {
                return;
            }
        }
    }

    fn state(&self) -> &CommonState {
        match &self.connection {
            Connection::Server(connection) => connection,
            Connection::Client(connection) => connection,
        }
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
