//! What to say about a key or a section that does not exist.

use super::keys::{self, SECTIONS};
use super::nearest::nearest;
use super::value::shown;

/// An unknown key in a known section: message and help.
pub(super) fn key(section: &str, name: &str) -> (String, String) {
    let message = format!("`{}` is no key of [{section}]", shown(name));
    let here: Vec<&str> = keys::all().filter(|k| k.section == section).map(|k| k.name).collect();
    if let Some(other) = keys::all().find(|k| k.name == name) {
        return (message, format!("`{name}` belongs in [{}]", other.section));
    }
    if let Some(key) = nearest(name, here.iter().copied())
        .and_then(|near| keys::all().find(|k| k.section == section && k.name == near))
    {
        return (
            message,
            format!("did you mean `{}`? For example `{} = {}`", key.name, key.name, key.example),
        );
    }
    let elsewhere = nearest(name, keys::all().map(|k| k.name));
    let help = match elsewhere.and_then(|near| keys::all().find(|k| k.name == near)) {
        Some(key) => format!("did you mean `{}` in [{}]?", key.name, key.section),
        None => format!("[{section}] has {}", here.join(", ")),
    };
    (message, help)
}

/// An unknown name at the top of the file: message and help.
pub(super) fn section(name: &str, is_table: bool) -> (String, String) {
    let sections = || SECTIONS.iter().map(|(section, _)| *section);
    let message = if is_table {
        format!("[{}] is no section", shown(name))
    } else {
        format!("`{}` stands in no section", shown(name))
    };
    if !is_table {
        let near = nearest(name, keys::all().map(|k| k.name));
        if let Some(key) = near.and_then(|near| keys::all().find(|k| k.name == near)) {
            return (message, format!("`{}` belongs in [{}]", key.name, key.section));
        }
    }
    let help = match nearest(name, sections()) {
        Some(near) => format!("did you mean [{near}]?"),
        None => format!(
            "the sections are {}",
            sections().map(|s| format!("[{s}]")).collect::<Vec<_>>().join(", ")
        ),
    };
    (message, help)
}
