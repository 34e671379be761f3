//! A row of the tables: where a key stands, what its value must be, and what to tell people about it.

use crate::config::slot::Slot;

/// One key.
pub struct Key {
    /// Table in the file.
    pub section: &'static str,
    /// Name in that table.
    pub name: &'static str,
    pub(in crate::config) slot: Slot,
    /// One line for people.
    pub help: &'static str,
    /// A value to write, in TOML.
    pub example: &'static str,
    /// What holds when the key has no default value of its own.
    pub unset: &'static str,
}

impl Key {
    /// `network.mode`
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `REFLECTOR__NETWORK__MODE`
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}__{}", self.section.to_uppercase(), self.name.to_uppercase())
    }

    /// What its value must be.
    pub fn what(&self) -> String {
        self.slot.what()
    }
}

/// Variables that start with this override a key.
pub const VARIABLE_PREFIX: &str = "REFLECTOR__";

/// A key with a default.
pub(super) const fn key(
    section: &'static str,
    name: &'static str,
    slot: Slot,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key { section, name, slot, help, example, unset: "" }
}

/// The same without one: what holds then.
pub(super) const fn or(key: Key, unset: &'static str) -> Key {
    Key { section: key.section, name: key.name, slot: key.slot, help: key.help, example: key.example, unset }
}
