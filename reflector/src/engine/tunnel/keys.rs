//! The keys of an open connection and their use (pure): a record is sealed from its plaintext straight into what is
//! written, and opened where it was read.
//!
//! rustls' own record layer takes memory for each record and copies it three times on its way; that is a tenth of what
//! a tunnelled stream costs. So it makes the handshake and every secret (`rustls::kernel`), and what is done with them
//! is here: a nonce that is used once, and the number of records after which a key is worn out.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, UnboundKey};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, Nonce, make_tls13_aad,
};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, ExtractedSecrets, ProtocolVersion, Tls13CipherSuite,
};

/// In front of each record.
pub(super) const HEADER: usize = 5;

/// Behind the payload: its type, and the tag of every suite there is.
pub(super) const TRAILER: usize = 1 + 16;

/// Largest ciphertext of a record (RFC 8446 section 5.2).
pub(super) const MAX_CIPHERTEXT: usize = 16 * 1024 + 256;

/// A key is left long before its last number: 2⁶⁴ records are never sent.
const MAX_RECORDS: u64 = 1 << 48;

/// A connection whose handshake is complete.
pub(super) enum Finished {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

/// Makes the next secrets of either side.
enum Schedule {
    Server(KernelConnection<ServerConnectionData>),
    Client(KernelConnection<ClientConnectionData>),
}

/// Both directions.
pub(super) struct Keys {
    schedule: Schedule,
    suite: &'static Tls13CipherSuite,
    sealing: Sealing,
    opening: Opening,
}

struct Sealing {
    key: LessSafeKey,
    iv: Iv,
    seq: u64,
    /// Records with one key at most.
    limit: u64,
}

struct Opening {
    decrypter: Box<dyn MessageDecrypter>,
    seq: u64,
}

impl Keys {
    /// Takes over from rustls, between two records in each direction.
    pub(super) fn of(finished: Finished) -> Result<Self, Error> {
        let (secrets, schedule, suite) = match finished {
            Finished::Server(connection) => {
                let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
                let suite = kernel.negotiated_cipher_suite();
                (secrets, Schedule::Server(kernel), suite)
            }
            Finished::Client(connection) => {
                let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
                let suite = kernel.negotiated_cipher_suite();
                (secrets, Schedule::Client(kernel), suite)
            }
        };
        // Nothing older is offered or taken.
        let suite = suite.tls13().ok_or(Error::HandshakeNotComplete)?;
        let ExtractedSecrets { tx, rx } = secrets;
        let (sealing, opening) = (Sealing::new(tx, suite)?, Opening::new(rx, suite)?);
        Ok(Self { schedule, suite, sealing, opening })
    }

    /// Whether no more than one record, that of a key update, should be sealed with the present key.
    pub(super) fn is_worn(&self) -> bool {
        self.sealing.seq + 1 >= self.sealing.limit
    }

    /// Seals a record into `out`, which begins with room for it; says how long it is.
    pub(super) fn seal(&mut self, kind: u8, payload: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        self.sealing.seal(kind, payload, out)
    }

    /// Opens a record where it is, without its header.
    pub(super) fn open<'a>(&mut self, ciphertext: &'a mut [u8]) -> Result<InboundPlainMessage<'a>, Error> {
        self.opening.open(ciphertext)
    }

    /// We have said that we change our key.
    pub(super) fn next_to_seal(&mut self) -> Result<(), Error> {
        let secrets = match &mut self.schedule {
            Schedule::Server(kernel) => kernel.update_tx_secret()?,
            Schedule::Client(kernel) => kernel.update_tx_secret()?,
        };
        self.sealing = Sealing::new(secrets, self.suite)?;
        Ok(())
    }

    /// The peer has said that it changes its key.
    pub(super) fn next_to_open(&mut self) -> Result<(), Error> {
        let secrets = match &mut self.schedule {
            Schedule::Server(kernel) => kernel.update_rx_secret()?,
            Schedule::Client(kernel) => kernel.update_rx_secret()?,
        };
        self.opening = Opening::new(secrets, self.suite)?;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn wear_out_after(&mut self, records: u64) {
        self.sealing.limit = self.sealing.seq + records;
    }
}

impl Sealing {
    fn new(
        (seq, secrets): (u64, ConnectionTrafficSecrets),
        suite: &'static Tls13CipherSuite,
    ) -> Result<Self, Error> {
        let (algorithm, key, iv) = parts(secrets)?;
        let key = UnboundKey::new(algorithm, key.as_ref()).map_err(|_| Error::EncryptError)?;
        let limit = suite.common.confidentiality_limit.min(MAX_RECORDS);
        Ok(Self { key: LessSafeKey::new(key), iv, seq, limit })
    }

    fn seal(&mut self, kind: u8, payload: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let length = payload.len() + TRAILER;
        let whole = out.get_mut(..HEADER + length).ok_or(Error::EncryptError)?;
        let (header, body) = whole.split_at_mut(HEADER);
        let (ciphertext, trailer) = body.split_at_mut(payload.len());
        // Counted before it is used: whatever fails, no number seals twice.
        let seq = self.seq;
        self.seq = seq.checked_add(1).ok_or(Error::EncryptError)?;
        if seq >= self.limit {
            return Err(Error::EncryptError);
        }
        let nonce = aead::Nonce::assume_unique_for_key(Nonce::new(&self.iv, seq).0);
        // The header is what is authenticated with it.
        let aad = make_tls13_aad(length);
        header.copy_from_slice(&aad);
        self.key
            .seal_out_of_place_scatter(nonce, Aad::from(aad), payload, ciphertext, &[kind], trailer)
            .map_err(|_| Error::EncryptError)?;
        Ok(HEADER + length)
    }
}

impl Opening {
    fn new(
        (seq, secrets): (u64, ConnectionTrafficSecrets),
        suite: &'static Tls13CipherSuite,
    ) -> Result<Self, Error> {
        let (_, key, iv) = parts(secrets)?;
        Ok(Self { decrypter: suite.aead_alg.decrypter(key, iv), seq })
    }

    fn open<'a>(&mut self, ciphertext: &'a mut [u8]) -> Result<InboundPlainMessage<'a>, Error> {
        let sealed =
            InboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, ciphertext);
        let opened = self.decrypter.decrypt(sealed, self.seq)?;
        self.seq = self.seq.checked_add(1).ok_or(Error::DecryptError)?;
        Ok(opened)
    }
}

fn parts(secrets: ConnectionTrafficSecrets) -> Result<(&'static aead::Algorithm, AeadKey, Iv), Error> {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => Ok((&aead::AES_128_GCM, key, iv)),
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => Ok((&aead::AES_256_GCM, key, iv)),
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => Ok((&aead::CHACHA20_POLY1305, key, iv)),
        // None of those we offer.
        _ => Err(unknown_suite()),
    }
}

fn unknown_suite() -> Error {
    Error::General("a cipher suite that was not offered".to_owned())
}
