//! Succession: the old key names the new one, so that whoever trusted the old ID can follow without pairing again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crds::EndpointId;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::atomic::{self, IfTaken};

/// Domain separation: nothing else we sign starts like this.
const CONTEXT: &[u8] = b"pp-succession/1";
/// A statement is under 400 bytes; anything much larger is not ours.
const MAX_FILE_BYTES: u64 = 4096;
/// Everyone may read: peers are shown it anyway, and root's command writes what an unprivileged server reads.
const MODE: u32 = 0o644;

/// "From `at` on I am `new`", signed by `old`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The ID that is given up and whose key signed this.
    pub old: EndpointId,
    /// The ID that takes over.
    pub new: EndpointId,
    /// When, to the second.
    pub at: Timestamp,
    /// Ed25519 signature over `pp-succession/1`, both public keys and the Unix second (big-endian), hex.
    pub signature: String,
}

/// Why a statement is worthless or cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The signature does not match.
    #[error("the succession statement from {old} is not signed by that key")]
    Signature {
        /// Whose signature it claims to be.
        old: EndpointId,
    },
    /// Not a statement at all.
    #[error("succession statement {}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be read or written.
    #[error("{action} succession statement {}", path.display())]
    Io {
        /// What we were doing.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Statement {
    /// Signs the hand-over.
    pub(super) fn sign(old: &Identity, new: EndpointId, at: Timestamp) -> Self {
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
        let signature = hex(&old.sign(&message(&old.id(), &new, at)));
        Self { old: old.id(), new, at, signature }
    }

    /// Checks that the old key really said so.
    pub fn verify(&self) -> Result<(), StatementError> {
        let refuse = || StatementError::Signature { old: self.old };
        let key = VerifyingKey::from_bytes(self.old.public_key()).map_err(|_| refuse())?;
        let bytes = unhex(&self.signature).ok_or_else(refuse)?;
        key.verify(&message(&self.old, &self.new, self.at), &Signature::from_bytes(&bytes))
            .map_err(|_| refuse())
    }

    /// Where the statement about the key at `key_path` is kept.
    pub fn path_beside(key_path: &Path) -> PathBuf {
        let mut name = key_path.as_os_str().to_os_string();
        name.push(".succession.json");
        PathBuf::from(name)
    }

    /// Reads the statement that names `current`; one about another key (a rotation that never finished) is `None`.
    pub fn load(path: &Path, current: EndpointId) -> Result<Option<Self>, StatementError> {
        let io = |source| StatementError::Io { action: "read", path: path.into(), source };
        let malformed = |problem: String| StatementError::Malformed { path: path.into(), problem };
        let text = match fs::metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
            Ok(meta) if meta.len() > MAX_FILE_BYTES => return Err(malformed("too large".into())),
            Ok(_) => fs::read_to_string(path).map_err(io)?,
        };
        let statement: Self = serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))?;
        if statement.new != current {
            return Ok(None);
        }
        statement.verify()?;
        Ok(Some(statement))
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), StatementError> {
        let io = |source| StatementError::Io { action: "write", path: path.into(), source };
        let text = serde_json::to_string(self).map_err(|e| io(e.into()))?;
        atomic::write(path, text.as_bytes(), MODE, IfTaken::Replace).map_err(io)
    }
}

fn message(old: &EndpointId, new: &EndpointId, at: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(CONTEXT.len() + 72);
    out.extend_from_slice(CONTEXT);
    out.extend_from_slice(old.public_key());
    out.extend_from_slice(new.public_key());
    out.extend_from_slice(&at.as_second().to_be_bytes());
    out
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<[u8; 64]> {
    let mut out = [0u8; 64];
    if text.len() != 128 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> (Identity, Identity, Statement) {
        let (old, new) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
        let signed = Statement::sign(&old, new.id(), "2026-11-21T10:20:30.75Z".parse().unwrap());
        (old, new, signed)
    }

    /// I5
    #[test]
    fn only_the_old_key_can_name_its_successor() {
        let (_, new, signed) = statement();
        signed.verify().unwrap();
        let other = Identity::from_seed(&[3; 32]);
        for forged in [
            Statement { new: other.id(), ..signed.clone() },
            Statement { old: other.id(), ..signed.clone() },
            Statement { at: "2026-11-21T10:20:31Z".parse().unwrap(), ..signed.clone() },
            Statement {
                signature: signed.signature.replace(|c: char| c.is_ascii_digit(), "a"),
                ..signed.clone()
            },
            Statement { signature: "zz".into(), ..signed.clone() },
            Statement::sign(&new, new.id(), signed.at).into_forged(signed.old),
        ] {
            assert!(forged.verify().is_err(), "{forged:?}");
        }
    }

    impl Statement {
        fn into_forged(mut self, old: EndpointId) -> Self {
            self.old = old;
            self
        }
    }

    #[test]
    fn a_statement_about_another_key_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        let (old, new, signed) = statement();
        assert_eq!(Statement::load(&path, new.id()).unwrap(), None);
        signed.save(&path).unwrap();
        assert_eq!(Statement::load(&path, new.id()).unwrap(), Some(signed));
        assert_eq!(Statement::load(&path, old.id()).unwrap(), None);
        fs::write(&path, "{").unwrap();
        assert!(Statement::load(&path, new.id()).is_err());
    }
}
