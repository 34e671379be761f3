//! The open window on disk: one file, owner only, gone the moment the code is used or over. IO only.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::atomic::{self, IfTaken};

use super::window::Saved;

/// Owner only: it holds the code.
const MODE: u32 = 0o600;
/// The file is a few hundred bytes; whatever is larger is not ours.
const MAX_BYTES: u64 = 64 * 1024;
/// Changes with every boot, so times since boot can be told apart.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    boot: String,
}

impl Store {
    pub(super) fn new(path: &Path) -> Self {
        // Without a boot ID every start counts as a new boot, which only shortens a window.
        let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
        Self { path: path.to_owned(), boot: boot.trim().to_owned() }
    }

    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    /// The saved window. `None` when there is none.
    pub(super) fn load(&self) -> io::Result<Option<Saved>> {
        match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(metadata) if metadata.len() > MAX_BYTES => return Err(io::ErrorKind::FileTooLarge.into()),
            Ok(_) => {}
        }
        let text = Zeroizing::new(std::fs::read(&self.path)?);
        serde_json::from_slice(&text).map(Some).map_err(io::Error::from)
    }

    /// Writes it, or removes it. Durable when it returns.
    pub(super) fn put(&self, saved: Option<&Saved>) -> io::Result<()> {
        match saved {
            None => atomic::remove(&self.path),
            Some(saved) => {
                let text = Zeroizing::new(serde_json::to_vec(saved)?);
                atomic::write(&self.path, &text, MODE, IfTaken::Replace)
            }
        }
    }
}
