//! Keys that bind a session's data to its control connection: exporter output of that connection, for one test.
//!
//! Made by whoever holds the TLS connection, before the session exists, because nobody else can ask it. Both ends make
//! the same keys; nothing of them is ever sent.

use uuid::Uuid;
use zeroize::Zeroize;

/// Exporter label of the key that proves data connections.
pub const DATA_LABEL: &[u8] = b"EXPORTER-pp-link/1 pp-data";

/// Exporter label of the two keys of UDP echo.
pub const ECHO_LABEL: &[u8] = b"EXPORTER-pp-link/1 udp-echo";

/// One test's keys.
pub struct Secrets {
    /// Proves that a data connection belongs to the session.
    pub data: [u8; 32],
    /// Client to server key, then server to client key, 32 bytes each.
    pub echo: [u8; 64],
}

impl Secrets {
    /// Asks a TLS connection for the keys of this test. `export` is its exporter: output, label, context.
    pub fn export<E>(
        test_id: Uuid,
        export: impl Fn(&mut [u8], &[u8], Option<&[u8]>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut secrets = Self { data: [0; 32], echo: [0; 64] };
        let context = Some(test_id.as_bytes().as_slice());
        export(&mut secrets.data, DATA_LABEL, context)?;
        export(&mut secrets.echo, ECHO_LABEL, context)?;
        Ok(secrets)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.data.zeroize();
        self.echo.zeroize();
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}
