//! Which key this client is: the reflector's own where we may use it, else one of the user's.
//!
//! A person who measures from a laptop must not need root or a configuration, and a host that is a reflector should
//! be one endpoint, not two. Order: a path somebody configured; the default path if it can be read; the user's state
//! folder, where a key is made at first use.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::identity::{self, CredentialsError, Current, KeyFileError};

/// Under the user's state folder.
const USER_FILE: &str = "reflector/identity.ed25519";

/// Where keys may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `identity.private_key_path`.
    pub configured: PathBuf,
    /// Somebody set it: then it and no other.
    pub named: bool,
    /// `$XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No folder to make one in.
    #[error("no place for this client's key: set HOME, or identity.private_key_path")]
    NoPlace,
    /// It cannot be read or made.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Our key, and what there is to say about it.
#[derive(Debug)]
pub struct ClientKey {
    /// As TLS takes it.
    pub current: Current,
    /// Its file.
    pub path: PathBuf,
    /// Made just now: nobody knows it yet.
    pub created: bool,
    /// Things to tell the user once.
    pub notes: Vec<String>,
}

/// The file to use. `readable` tells whether a file can be opened by this user.
pub fn choose(places: &Places, readable: impl Fn(&Path) -> bool) -> Result<PathBuf, KeyError> {
    if places.named || readable(&places.configured) {
        return Ok(places.configured.clone());
    }
    let absolute = |path: &Option<PathBuf>| path.clone().filter(|path| path.is_absolute());
    absolute(&places.state_home)
        .or_else(|| absolute(&places.home).map(|home| home.join(".local/state")))
        .map(|folder| folder.join(USER_FILE))
        .ok_or(KeyError::NoPlace)
}

/// Reads the key, or makes one. The rules for the file are the daemon's: 32 bytes, 0600.
pub fn load(places: &Places, in_pod: bool, now: Timestamp) -> Result<ClientKey, KeyError> {
    let path = choose(places, |path| std::fs::File::open(path).is_ok())?;
    let identity::Loaded { identity, created, notes } = identity::load_or_create(&path, in_pod)?;
    Ok(ClientKey { current: Current::new(identity, None, now)?, path, created, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            configured: "/var/lib/reflector/identity.ed25519".into(),
            named: false,
            state_home: Some("/users/u/.state".into()),
            home: Some("/users/u".into()),
        }
    }

    /// C2
    #[test]
    fn a_configured_key_is_used_even_if_it_has_to_be_made() {
        let places = Places { named: true, ..places() };
        assert_eq!(choose(&places, |_| false).unwrap(), places.configured);
    }

    /// C2
    #[test]
    fn a_user_who_may_not_read_the_reflectors_key_has_one_of_their_own() {
        assert_eq!(choose(&places(), |_| true).unwrap(), places().configured);
        let own = choose(&places(), |_| false).unwrap();
        assert_eq!(own, Path::new("/users/u/.state/reflector/identity.ed25519"));
        for state_home in [None, Some("relative".into())] {
            let own = choose(&Places { state_home, ..places() }, |_| false).unwrap();
            assert_eq!(own, Path::new("/users/u/.local/state/reflector/identity.ed25519"));
        }
        let nowhere = Places { state_home: None, home: None, ..places() };
        assert!(matches!(choose(&nowhere, |_| false), Err(KeyError::NoPlace)));
    }

    #[test]
    fn the_key_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            configured: dir.path().join("gone/key"),
            state_home: Some(dir.path().to_owned()),
            ..places()
        };
        let now = Timestamp::UNIX_EPOCH;
        let first = load(&places, false, now).unwrap();
        let again = load(&places, false, now).unwrap();
        assert!(first.created && !again.created);
        assert_eq!(first.current.identity.id(), again.current.identity.id());
        assert_eq!(again.path, dir.path().join(USER_FILE));
    }
}
