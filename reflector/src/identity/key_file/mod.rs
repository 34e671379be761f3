//! The key file: exactly 32 raw bytes, readable by its owner only from its first instant.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{Identity, Statement, StatementError};
use crate::atomic::{self, IfTaken};

const KEY_BYTES: usize = 32;
/// Its owner, and nobody else.
const MODE: u32 = 0o600;
/// What earlier builds called the file, whatever path was configured.
const LEGACY_NAME: &str = "identity.key";

/// Why there is no identity. All of these end the process with exit 1.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A system call on the file or its folder failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What we were doing.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Others could read the key.
    #[error(
        "key file {shown} has mode {mode:04o}: only its owner may read it. Run: chmod 600 {shown}", shown = path.display()
    )]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key.
    #[error(
        "key file {} has {found} bytes, a key has exactly {KEY_BYTES}. Restore it from a backup; to start over with a new identity (every peer must pair again) move it away", path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
    },
    /// The path exists and is no regular file.
    #[error("key file {} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The kernel gave no random bytes.
    #[error("make a new key: {0}")]
    Random(#[from] getrandom::Error),
    /// The succession statement could not be written.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

/// An identity and what there is to say about how it was found.
#[derive(Debug)]
pub struct Loaded {
    /// The key.
    pub identity: Identity,
    /// True when it was made just now.
    pub created: bool,
    /// Things the administrator should know; logged once.
    pub notes: Vec<String>,
}

/// Reads the key at `path`, for commands that must not make one.
pub fn load(path: &Path, in_pod: bool) -> Result<Loaded, KeyFileError> {
    let (identity, notes) = read(path, GroupBits::on_our_volume(in_pod))?;
    Ok(Loaded { identity, created: false, notes })
}

/// Reads the key at `path`, or makes one there. `in_pod`: bits of our own group, which a kubelet adds to every file
/// of a volume with fsGroup, are taken back with a note instead of being refused.
pub fn load_or_create(path: &Path, in_pod: bool) -> Result<Loaded, KeyFileError> {
    let legacy = path.with_file_name(LEGACY_NAME);
    let legacy_differs = legacy != path;
    match fs::symlink_metadata(path) {
        Ok(_) => {
            let (identity, mut notes) = read(path, GroupBits::on_our_volume(in_pod))?;
            if legacy_differs && legacy.exists() {
                notes.push(format!(
                    "{} is ignored: the configured key {} exists; delete the old file once no backup is needed",
                    legacy.display(),
                    path.display()
                ));
            }
            Ok(Loaded { identity, created: false, notes })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && legacy_differs && legacy.exists() => {
            let (identity, mut notes) = read(&legacy, GroupBits::on_our_volume(in_pod))?;
            write_new(path, &identity)?;
            notes.push(format!(
                "the key was found as {} and is now kept at the configured path {}",
                legacy.display(),
                path.display()
            ));
            Ok(Loaded { identity, created: false, notes })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let identity = Identity::generate()?;
            write_new(path, &identity)?;
            Ok(Loaded { identity, created: true, notes: Vec::new() })
        }
        Err(source) => Err(KeyFileError::Io { action: "look for the key file", path: path.into(), source }),
    }
}

/// Like [`load_or_create`], but where there is no key yet, the one at `import` is adopted if there is one: it is kept at `path`
/// from then on, and `import` is not looked at again.
pub fn load_or_import(path: &Path, import: &Path, in_pod: bool) -> Result<Loaded, KeyFileError> {
    let missing =
        |path: &Path| fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    if !missing(path) || missing(import) {
        return load_or_create(path, in_pod);
    }
    // In a volume of a Secret each file is a link.
    let (identity, mut notes) = read(import, if in_pod { GroupBits::Left } else { GroupBits::Refused })?;
    write_new(path, &identity)?;
    notes.push(format!("the key of {} was adopted and is now kept at {}", import.display(), path.display()));
    Ok(Loaded { identity, created: false, notes })
}

/// Bits of our own group on a key file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupBits {
    Refused,
    TakenBack,
    /// Of a volume that cannot be written.
    Left,
}

impl GroupBits {
    /// A kubelet sets them in every volume with fsGroup.
    fn on_our_volume(in_pod: bool) -> Self {
        if in_pod { Self::TakenBack } else { Self::Refused }
    }
}

fn read(path: &Path, group: GroupBits) -> Result<(Identity, Vec<String>), KeyFileError> {
    let io = |action| move |source| KeyFileError::Io { action, path: path.into(), source };
    // O_NONBLOCK: opening a FIFO someone put there must not hang the start.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(io("open key file"))?;
    let meta = file.metadata().map_err(io("read metadata of key file"))?;
    if !meta.is_file() {
        return Err(KeyFileError::NotAFile { path: path.into() });
    }
    let mut notes = Vec::new();
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let for_others = mode & 0o007;
        let own_group = for_others == 0 && group != GroupBits::Refused && is_our_group(meta.gid());
        if !own_group {
            return Err(KeyFileError::Mode { path: path.into(), mode });
        }
        if group == GroupBits::TakenBack {
            file.set_permissions(fs::Permissions::from_mode(0o600))
                .map_err(io("take group bits off key file"))?;
            notes.push(format!(
                "key file {} had mode {mode:04o} for our own group; set to 0600 again",
                path.display()
            ));
        }
    }
    if meta.len() != KEY_BYTES as u64 {
        return Err(KeyFileError::Length { path: path.into(), found: meta.len() });
    }
    let mut seed = Zeroizing::new([0u8; KEY_BYTES]);
    file.read_exact(seed.as_mut_slice()).map_err(io("read key file"))?;
    Ok((Identity::from_seed(&seed), notes))
}

fn is_our_group(gid: u32) -> bool {
    rustix::process::getegid().as_raw() == gid
        || rustix::process::getgroups().is_ok_and(|groups| groups.iter().any(|g| g.as_raw() == gid))
}

/// Writes a key that was not there before: 0600 from its first instant, durable before it has its name. Never over a key
/// that somebody else made meanwhile.
fn write_new(path: &Path, identity: &Identity) -> Result<(), KeyFileError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let io = |action| move |source| KeyFileError::Io { action, path: path.into(), source };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(io("make the folder of key file"))?;
    atomic::write(path, identity.seed().as_slice(), MODE, IfTaken::Refuse)
        .map_err(io("put in place key file"))
}

/// Replaces the key: the old one stays as a dated backup and signs the new ID, then the new one takes the path.
/// A crash at any point leaves either key whole at `path`.
pub fn replace(
    path: &Path,
    old: &Identity,
    now: Timestamp,
) -> Result<(Identity, Statement, PathBuf), KeyFileError> {
    let new = Identity::generate()?;
    let statement = Statement::sign(old, new.id(), now);
    let backup = suffixed(path, &format!(".{}.bak", now.strftime("%Y%m%dT%H%M%SZ")));
    let io = |action, path: &Path| {
        let path = path.to_path_buf();
        move |source| KeyFileError::Io { action, path, source }
    };
    // A second rotation within the same second must not overwrite the first one's backup.
    fs::hard_link(path, &backup).map_err(io("keep the old key as", &backup))?;
    statement.save(&Statement::path_beside(path))?;
    // Keeps the owner: a rotation run by root must not leave a key that the server's user cannot read.
    atomic::write(path, new.seed().as_slice(), MODE, IfTaken::Replace)
        .map_err(io("put in place key file", path))?;
    Ok((new, statement, backup))
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
