//! Who we are: one Ed25519 key, the ID that follows from it, and how it is replaced.
//!
//! In: a key file (32 raw bytes). Out: an [`Identity`] for TLS and signatures, and a watch channel that tells everyone
//! when it changes. The secret never leaves this room except as PKCS#8 handed to the TLS and certificate builders, and in
//! base64 to whoever asked for it by `reflector export-identity --private-key`.

mod key_file;
mod succession;

pub use key_file::{KeyFileError, Loaded, load, load_or_create, load_or_import, replace};
pub use succession::{Statement, StatementError};

use std::fmt;
use std::sync::Arc;

use crds::EndpointId;
use ed25519_dalek::{Signer, SigningKey};
use k8s_openapi::ByteString;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::link::cert::{OwnCertError, make_own};
use crate::link::tls::{LinkIdentity, TlsError};

/// PKCS#8 v1 header of an Ed25519 private key (RFC 8410 §7); the 32-byte seed follows.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A key pair and its Endpoint ID. The secret is wiped when the last clone of the `Arc` around it goes.
pub struct Identity {
    key: SigningKey,
    id: EndpointId,
}

impl Identity {
    /// The identity of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let id = EndpointId::from_public_key(key.verifying_key().to_bytes());
        Self { key, id }
    }

    /// A fresh identity from the kernel's random source.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut_slice())?;
        Ok(Self::from_seed(&seed))
    }

    /// Our Endpoint ID.
    pub const fn id(&self) -> EndpointId {
        self.id
    }

    /// The key as rustls and rcgen take it. Wiped on drop.
    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let mut der = Zeroizing::new(Vec::with_capacity(48));
        der.extend_from_slice(&PKCS8_PREFIX);
        der.extend_from_slice(self.seed().as_slice());
        der
    }

    /// The key file in base64, as a Secret holds it. For the one command that gives the key away.
    pub fn exported(&self) -> Zeroizing<String> {
        let bytes = ByteString(self.seed().to_vec());
        let text = serde_json::to_value(&bytes).ok().and_then(|value| value.as_str().map(str::to_owned));
        drop(Zeroizing::new(bytes.0));
        Zeroizing::new(text.unwrap_or_default())
    }

    fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The identity in force, and the statement by which its predecessor named it.
#[derive(Debug, Clone)]
pub struct Current {
    /// The key.
    pub identity: Arc<Identity>,
    /// The key and its certificate, as TLS takes them.
    pub credentials: LinkIdentity,
    /// Signed by the previous key, if there was one and its statement is on disk.
    pub succession: Option<Statement>,
}

/// The TLS side of an identity cannot be made. Both are bugs or a broken provider, never the administrator's doing.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The certificate.
    #[error("make our certificate")]
    Certificate(#[from] OwnCertError),
    /// The signing key.
    #[error("load our key into TLS")]
    Key(#[from] TlsError),
}

impl Current {
    /// Puts an identity in force.
    pub fn new(
        identity: Identity,
        succession: Option<Statement>,
        now: jiff::Timestamp,
    ) -> Result<Self, CredentialsError> {
        let pkcs8 = identity.pkcs8();
        let credentials = LinkIdentity::new(&pkcs8, make_own(&pkcs8, now)?)?;
        Ok(Self { identity: Arc::new(identity), credentials, succession })
    }
}

/// Everyone who presents the identity holds one of these; `rotate-identity` sends a new value.
pub type LiveIdentity = watch::Receiver<Current>;

#[cfg(test)]
mod tests {
    use super::*;

    /// I2: from the seed, not only from the public key.
    #[test]
    fn the_seed_vectors_give_their_ids() {
        let counting: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        for (seed, id) in [
            ([0u8; 32], "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K"),
            (counting, "PP-0EGG-FFZK-SR8B-W7BG-VMCE-EJY0-K5KY-9NHG-KEJG-TQRX-VJ36-84JN-66W0-A"),
            ([0xff; 32], "PP-ETGN-J824-MVJF-A496-BF57-79G4-V45G-AAEH-VXG2-QRRA-36MJ-AXK0-T7TG-E"),
        ] {
            assert_eq!(Identity::from_seed(&seed).id().to_string(), id);
        }
    }

    #[test]
    fn debug_output_holds_no_key_material() {
        let identity = Identity::from_seed(&[0xab; 32]);
        let text = format!("{identity:?}");
        assert!(
            text.contains("PP-") && !text.contains("171") && !text.to_lowercase().contains("abab"),
            "{text}"
        );
    }

    #[test]
    fn an_exported_key_is_the_key_file_in_base64() {
        let counting: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let exported = Identity::from_seed(&counting).exported();
        assert_eq!(exported.as_str(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    }

    #[test]
    fn pkcs8_is_what_the_tls_library_reads() {
        let identity = Identity::from_seed(&[7; 32]);
        let pair =
            aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&identity.pkcs8()).unwrap();
        assert_eq!(
            aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref(),
            identity.id().public_key().as_slice()
        );
    }
}
