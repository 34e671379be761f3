//! The two files beside the key. IO only; blocks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::atomic::{self, IfTaken};

use super::kept::{self, Contact, Kept, MAX_BYTES};

const POLICY: &str = "policy.json";
const CONTACT: &str = "policy-contact.json";
/// Owner only: it names peers, and whoever could write it could let somebody in.
const MODE: u32 = 0o600;
/// Names the boot we are in.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Debug, Clone)]
pub(super) struct Store {
    policy: PathBuf,
    contact: PathBuf,
}

impl Store {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { policy: state_dir.join(POLICY), contact: state_dir.join(CONTACT) }
    }

    /// The policy, `None` when none was kept. The error says why it is ignored.
    pub(super) fn policy(&self) -> Result<Option<Kept>, String> {
        load(&self.policy)
    }

    /// The last contact; likewise.
    pub(super) fn contact(&self) -> Result<Option<Contact>, String> {
        load(&self.contact)
    }

    /// Durable when it returns. `None` removes what is there.
    pub(super) fn put_policy(&self, kept: Option<&Kept>) -> io::Result<()> {
        match kept {
            None => atomic::remove(&self.policy),
            Some(kept) => atomic::write(&self.policy, &kept::write(kept)?, MODE, IfTaken::Replace),
        }
    }

    /// Durable when it returns.
    pub(super) fn put_contact(&self, contact: &Contact) -> io::Result<()> {
        atomic::write(&self.contact, &kept::write(contact)?, MODE, IfTaken::Replace)
    }
}

/// Which boot this is; `None` when the kernel does not say.
pub(super) fn boot() -> Option<Uuid> {
    fs::read_to_string(BOOT_ID).ok().and_then(|text| text.trim().parse().ok())
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let ignored = |why: String| format!("{} is ignored: {why}", path.display());
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ignored(error.to_string())),
        Ok(metadata) => metadata.len(),
    };
    if length > MAX_BYTES {
        return Err(ignored(format!("it has {length} bytes")));
    }
    let file = fs::read(path).map_err(|error| ignored(error.to_string()))?;
    kept::read(&file).map(Some).map_err(ignored)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_policy_is_kept_for_its_owner_only_and_a_broken_one_is_ignored_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        assert_eq!(store.policy(), Ok(None));
        let kept =
            Kept { uid: "u-1".into(), reflector: "{}".into(), peers: Vec::new(), fleet_peers: Vec::new() };
        store.put_policy(Some(&kept)).unwrap();
        assert_eq!(store.policy(), Ok(Some(kept)));
        assert_eq!(fs::metadata(&store.policy).unwrap().mode() & 0o777, 0o600);
        fs::write(&store.policy, "nonsense").unwrap();
        let why = store.policy().unwrap_err();
        assert!(why.contains("policy.json is ignored: it has no first line"), "{why}");
        store.put_policy(None).unwrap();
        store.put_policy(None).unwrap();
        assert_eq!(store.policy(), Ok(None));
    }
}
