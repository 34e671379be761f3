//! Which file lives where. Everything we write stands beside the key unless a key of the configuration says
//! otherwise, so one volume holds all that must survive a restart.

use std::path::{Path, PathBuf};

use super::Config;

/// Longest part between dots of an object's name.
const LONGEST_LABEL: usize = 63;
/// `audit_log_path` that means standard output.
const STDOUT: &str = "-";

impl Config {
    /// The folder of the key file.
    pub fn state_dir(&self) -> &Path {
        match self.identity.private_key_path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        }
    }

    /// Durable usage.
    pub fn ledger_path(&self) -> PathBuf {
        self.state_dir().join("ledger.redb")
    }

    /// The audit log; `None` is standard output.
    pub fn audit_path(&self) -> Option<PathBuf> {
        match &self.logging.audit_log_path {
            None => Some(self.state_dir().join("audit.jsonl")),
            Some(path) if path == Path::new(STDOUT) => None,
            Some(path) => Some(path.clone()),
        }
    }

    /// Where the running server listens to its owner.
    pub fn admin_socket_path(&self) -> PathBuf {
        self.network.admin_socket.clone().unwrap_or_else(|| self.state_dir().join("admin.sock"))
    }

    /// The directory of `ReflectorPeer` manifests.
    pub fn peers_dir(&self) -> PathBuf {
        self.access.peers_dir.clone().unwrap_or_else(|| self.state_dir().join("peers"))
    }

    /// The open pairing window, so that it survives a restart.
    pub fn pairing_path(&self) -> PathBuf {
        self.state_dir().join("pairing.json")
    }

    /// The name peers call us by in `reflectorRef.name`: `access.name`, else the host's name made to fit an
    /// object name (lower case, anything else than `a-z0-9.-` a dash).
    pub fn reflector_name(&self, hostname: &str) -> String {
        if let Some(name) = &self.access.name {
            return name.clone();
        }
        let fitted: String = hostname
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' { c } else { '-' })
            .collect();
        // A label of a host's name may have 64 characters, one of an object's has 63.
        let labels = fitted.split('.').map(|label| {
            let label = label.trim_matches('-');
            label.get(..LONGEST_LABEL).unwrap_or(label).trim_end_matches('-')
        });
        let name = labels.filter(|label| !label.is_empty()).collect::<Vec<_>>().join(".");
        if name.is_empty() { "reflector".to_owned() } else { name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stands_beside_the_key() {
        let mut config = Config::default();
        config.identity.private_key_path = PathBuf::from("/srv/r/key");
        assert_eq!(config.state_dir(), Path::new("/srv/r"));
        assert_eq!(config.ledger_path(), Path::new("/srv/r/ledger.redb"));
        assert_eq!(config.audit_path().unwrap(), Path::new("/srv/r/audit.jsonl"));
        assert_eq!(config.admin_socket_path(), Path::new("/srv/r/admin.sock"));
        assert_eq!(config.peers_dir(), Path::new("/srv/r/peers"));
        assert_eq!(config.pairing_path(), Path::new("/srv/r/pairing.json"));
    }

    #[test]
    fn a_key_that_names_a_path_wins_over_the_folder() {
        let mut config = Config::default();
        config.logging.audit_log_path = Some(PathBuf::from("/var/log/a.jsonl"));
        config.network.admin_socket = Some(PathBuf::from("/run/r.sock"));
        config.access.peers_dir = Some(PathBuf::from("/etc/peers"));
        assert_eq!(config.audit_path().unwrap(), Path::new("/var/log/a.jsonl"));
        assert_eq!(config.admin_socket_path(), Path::new("/run/r.sock"));
        assert_eq!(config.peers_dir(), Path::new("/etc/peers"));
        config.logging.audit_log_path = Some(PathBuf::from("-"));
        assert_eq!(config.audit_path(), None);
    }

    #[test]
    fn a_bare_key_file_means_the_current_folder() {
        let mut config = Config::default();
        config.identity.private_key_path = PathBuf::from("key");
        assert_eq!(config.state_dir(), Path::new("."));
    }

    #[test]
    fn the_name_is_configured_or_the_hosts_made_to_fit() {
        let mut config = Config::default();
        assert_eq!(config.reflector_name("Attic_Pi.local"), "attic-pi.local");
        assert_eq!(config.reflector_name("__"), "reflector");
        for odd in ["a..b", "a-.-b", "_.x", &"h".repeat(64), "pi.", "\u{fc}ber"] {
            let name = config.reflector_name(odd);
            assert!(crds::names::is_object_name(&name), "{odd}: {name}");
        }
        config.access.name = Some("cellar".to_owned());
        assert_eq!(config.reflector_name("attic"), "cellar");
    }
}
