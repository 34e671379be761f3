//! A configuration as TOML again: all of it, and where each value came from.

use std::fmt::Write;

use super::keys::{self, Key, SECTIONS};
use super::parse::{Loaded, Origin};
use super::slot::Draft;
use super::{Config, in_cluster};

/// One key as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Table in the file.
    pub section: &'static str,
    /// Name in that table.
    pub name: &'static str,
    /// In TOML; `None` when the key has no value.
    pub value: Option<String>,
    /// What holds when it has none.
    pub unset: &'static str,
    /// Who said so.
    pub origin: Origin,
}

impl Loaded {
    /// Every key, in the order of the table.
    pub fn effective(&self) -> Vec<Effective> {
        let mut draft = Draft::of(self.config.clone());
        draft.windows.clone_from(&self.windows);
        let in_cluster = self.config.access.namespace.is_some();
        let row = |key: &'static Key| {
            let elsewhere = in_cluster::instead(&key.path()).filter(|_| in_cluster);
            Effective {
                section: key.section,
                name: key.name,
                value: if elsewhere.is_some() { None } else { key.slot.show(&mut draft) },
                unset: elsewhere.unwrap_or(key.unset),
                origin: self.origins.get(&key.path()).cloned().unwrap_or(Origin::Default),
            }
        };
        keys::all().map(row).collect()
    }

    /// The whole configuration as a file that loads back to the same.
    pub fn to_toml(&self) -> String {
        let rows = self.effective();
        let mut out = String::new();
        for (section, _) in SECTIONS {
            if !out.is_empty() {
                out.push('\n');
            }
            let _ = writeln!(out, "[{section}]");
            for row in rows.iter().filter(|row| row.section == section) {
                let _ = match &row.value {
                    Some(value) => writeln!(out, "{} = {value}", row.name),
                    None => writeln!(out, "# {}: {}", row.name, row.unset),
                };
            }
        }
        out
    }
}

/// What a key is by default, in TOML; `None` when it has no value by default.
pub(super) fn default_value(key: &Key) -> Option<String> {
    key.slot.show(&mut Draft::of(Config::default()))
}
