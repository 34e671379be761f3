//! Certificates: a shell around an Ed25519 key.
//!
//! Theirs go in as DER and come out as an Endpoint ID computed from the key, never from a name. Ours is made from the
//! key. Nothing in here asks who may do what, and no validity date matters: trust is in the key alone.

mod own;
mod peer;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub use own::{OwnCertError, PKCS8_LEN, make_own, pkcs8_of_seed};
pub use peer::{CertError, PeerCert, key_of, parse_peer};

/// What a DNS SAN of this ecosystem starts with; the Endpoint ID follows.
pub const SAN_PREFIX: &str = "pp-id-";
