//! What can go wrong with the ledger, and what to do about it.

use std::path::PathBuf;

use super::store::FORMAT;

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No file yet, and none can be made.
    #[error("create ledger {}: {detail}; check that the folder exists and belongs to this user", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The file is there but cannot be opened.
    #[error("open ledger {}: {detail}; check its owner and mode (0600)", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Another process holds the file.
    #[error("ledger {} is in use by another process: stop that reflector first", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// The file does not hold what we wrote.
    #[error(
        "ledger {} is damaged ({detail}): usage is not guessed, so nothing is served. Restore the file from a backup, or \
         move it away to let every quota start again",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// A newer version wrote it.
    #[error(
        "ledger {} has format {found}, this version reads up to {FORMAT}: run the newer version again",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A write failed; what was not written is kept in memory and tried again.
    #[error("write ledger {}: {detail}; free space or repair the volume, it is tried again by itself", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// More writes wait than the disk keeps up with.
    #[error("the ledger's disk does not keep up: {0}")]
    Slow(&'static str),
    /// The writer is gone; the process should be too.
    #[error("the ledger writer has stopped")]
    Stopped,
}
