//! The key a code stands for. A code has only 40 bits, so turning one into its key is made expensive.

use std::fmt;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Params, Version};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::code::Code;
use super::hex;
use super::proof::Statement;

pub use argon2::Block;

/// Blocks of [`Block::SIZE`] bytes that one hash takes: 19 MiB, the least that is recommended for argon2id.
pub const BLOCKS: usize = 19 * 1024;
const KIBIBYTES: u32 = 19 * 1024;
/// Passes over the memory.
const PASSES: u32 = 2;
/// One after the other: whoever guesses has more processors than a Raspberry Pi.
const LANES: u32 = 1;
/// Above this, glibc gives every allocation a mapping of its own and takes it away when it is freed
/// (`DEFAULT_MMAP_THRESHOLD_MAX`). Below it, the threshold follows what was freed, and the 19 MiB of the second hash
/// would stay with the process for ever. Test: `a_hash_leaves_no_memory_behind`.
const ALWAYS_MAPPED: usize = 32 * 1024 * 1024;

/// A code did not become a key: too little memory was handed in, or the salt is too short to be a uid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hash a pairing code")]
pub struct Error(#[source] argon2::Error);

/// Memory for one hash, gone from the process when it is dropped. Only what the hash touches is ever in use.
pub fn memory() -> Vec<Block> {
    let mut blocks = Vec::with_capacity(ALWAYS_MAPPED / Block::SIZE + 1);
    blocks.resize(BLOCKS, Block::new());
    blocks
}

/// What a code stands for: only who knows the code can make it. Wiped when dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// argon2id over the code's eight symbols, salted with the uid of the object in `spec.reflectorRef` (its text), is
    /// the seed of an Ed25519 key. Takes tens of milliseconds and [`BLOCKS`] of memory: never on an event loop, and one
    /// at a time. What `memory` held before does not matter.
    pub fn derive(code: &Code, reference_uid: &str, memory: &mut [Block]) -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        let params = Params::new(KIBIBYTES, PASSES, LANES, Some(seed.len())).map_err(Error)?;
        let symbols = Zeroizing::new(code.symbols());
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(&*symbols, reference_uid.as_bytes(), &mut *seed, memory)
            .map_err(Error)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The half that is published in `status.pairing.codeKey`.
    pub fn code_key(&self) -> CodeKey {
        CodeKey(self.0.verifying_key())
    }

    /// The proof of a claim, for `claim.proof`.
    pub fn prove(&self, statement: &Statement<'_>) -> String {
        hex::text(&self.0.sign(&statement.message()).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(hidden)")
    }
}

/// The public half of a code's key, as in `status.pairing.codeKey`: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeKey(VerifyingKey);

impl CodeKey {
    /// Whether this proof was made with the code for just this statement. Strict: one statement and key have one
    /// signature, and keys of small order, which fit everything, fit nothing.
    pub fn accepts(&self, statement: &Statement<'_>, proof: &str) -> bool {
        let Some(bytes) = hex::bytes(proof) else { return false };
        self.0.verify_strict(&statement.message(), &Signature::from_bytes(&bytes)).is_ok()
    }
}

impl fmt::Display for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::text(self.0.as_bytes()))
    }
}

/// A text that is no [`CodeKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a code key: it is not 64 hexadecimal digits of an Ed25519 key")]
pub struct NotACodeKey;

impl FromStr for CodeKey {
    type Err = NotACodeKey;

    fn from_str(text: &str) -> Result<Self, NotACodeKey> {
        let bytes = hex::bytes(text).ok_or(NotACodeKey)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| NotACodeKey)
    }
}
