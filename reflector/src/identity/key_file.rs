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
    let (identity, notes) = read(path, in_pod)?;
    Ok(Loaded { identity, created: false, notes })
}

/// Reads the key at `path`, or makes one there. `in_pod`: bits of our own group, which a kubelet adds to every file
/// of a volume with fsGroup, are taken back with a note instead of being refused.
pub fn load_or_create(path: &Path, in_pod: bool) -> Result<Loaded, KeyFileError> {
    let legacy = path.with_file_name(LEGACY_NAME);
    let legacy_differs = legacy != path;
    match fs::symlink_metadata(path) {
        Ok(_) => {
            let (identity, mut notes) = read(path, in_pod)?;
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
            let (identity, mut notes) = read(&legacy, in_pod)?;
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

fn read(path: &Path, in_pod: bool) -> Result<(Identity, Vec<String>), KeyFileError> {
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
        let own_group = for_others == 0 && in_pod && is_our_group(meta.gid());
        if !own_group {
            return Err(KeyFileError::Mode { path: path.into(), mode });
        }
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .map_err(io("take group bits off key file"))?;
        notes.push(format!(
            "key file {} had mode {mode:04o} for our own group; set to 0600 again",
            path.display()
        ));
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
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    /// I1
    #[test]
    fn a_new_key_is_32_bytes_and_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/identity.ed25519");
        let first = load_or_create(&path, false).unwrap();
        assert!(first.created);
        assert_eq!(fs::metadata(&path).unwrap().len(), 32);
        assert_eq!(mode_of(&path), 0o600);
        let again = load_or_create(&path, false).unwrap();
        assert!(!again.created);
        assert_eq!(again.identity.id(), first.identity.id());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");
    }

    /// Two servers that start at the same moment: the one that comes second must not run on, or replace, the other's key.
    #[test]
    fn a_key_somebody_else_made_meanwhile_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let first = Identity::from_seed(&[1; 32]);
        write_new(&path, &first).unwrap();
        let error = write_new(&path, &Identity::from_seed(&[2; 32])).unwrap_err();
        assert!(matches!(error, KeyFileError::Io { .. }), "{error}");
        assert_eq!(load_or_create(&path, false).unwrap().identity.id(), first.id());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no key material is left behind");
    }

    /// I1
    #[test]
    fn another_length_or_a_wider_mode_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        for (bytes, mode, expect) in [
            (31usize, 0o600, "31 bytes"),
            (33, 0o600, "33 bytes"),
            (0, 0o600, "0 bytes"),
            (32, 0o640, "chmod 600"),
            (32, 0o604, "chmod 600"),
        ] {
            fs::write(&path, vec![1; bytes]).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load_or_create(&path, false).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }

    /// I1: a kubelet adds group bits to every file of a volume with fsGroup.
    #[test]
    fn in_a_pod_bits_of_our_own_group_are_taken_back_and_others_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, [5; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        let loaded = load_or_create(&path, true).unwrap();
        assert_eq!(mode_of(&path), 0o600);
        assert!(loaded.notes[0].contains("0660"), "{:?}", loaded.notes);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        assert!(matches!(load_or_create(&path, true), Err(KeyFileError::Mode { mode: 0o664, .. })));
    }

    /// I3
    #[test]
    fn the_configured_path_is_used_and_a_legacy_file_beside_it_is_read_and_reported() {
        let dir = tempfile::tempdir().unwrap();
        let legacy = dir.path().join("identity.key");
        fs::write(&legacy, [9; 32]).unwrap();
        fs::set_permissions(&legacy, fs::Permissions::from_mode(0o600)).unwrap();
        let path = dir.path().join("custom.ed25519");
        let loaded = load_or_create(&path, false).unwrap();
        assert_eq!(loaded.identity.id(), Identity::from_seed(&[9; 32]).id());
        assert!(loaded.notes[0].contains("identity.key"));
        assert_eq!(fs::read(&path).unwrap(), [9; 32]);
        fs::write(&path, [8; 32]).unwrap();
        let loaded = load_or_create(&path, false).unwrap();
        assert_eq!(loaded.identity.id(), Identity::from_seed(&[8; 32]).id());
        assert!(loaded.notes[0].contains("ignored"));
    }

    /// I5
    #[test]
    fn replacing_keeps_the_old_key_as_a_dated_backup_and_a_statement_it_signed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.ed25519");
        let old = load_or_create(&path, false).unwrap().identity;
        let now: Timestamp = "2026-11-21T10:20:30Z".parse().unwrap();
        let (new, statement, backup) = replace(&path, &old, now).unwrap();
        assert!(backup.to_string_lossy().ends_with(".20261121T102030Z.bak"));
        assert_eq!(fs::read(&backup).unwrap(), old.seed().as_slice());
        assert_eq!(mode_of(&backup), 0o600);
        assert_eq!(load_or_create(&path, false).unwrap().identity.id(), new.id());
        statement.verify().unwrap();
        assert_eq!(Statement::load(&Statement::path_beside(&path), new.id()).unwrap(), Some(statement));
        assert!(replace(&path, &new, now).is_err(), "a backup is never overwritten");
        assert_eq!(load_or_create(&path, false).unwrap().identity.id(), new.id());
    }

    #[test]
    fn a_folder_or_a_fifo_in_place_of_the_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(load_or_create(dir.path(), false), Err(KeyFileError::NotAFile { .. })));
    }
}
