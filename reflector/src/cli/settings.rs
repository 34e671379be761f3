//! `reflector config`: is it right, and what is in force.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::output::{Answer, Style, pretty};
use crate::config::{Effective, Loaded, Origin};

/// Answer to `config check` when the configuration is right. Warnings are on standard error.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    ok: bool,
    path: Option<PathBuf>,
    warnings: Vec<String>,
}

impl Checked {
    pub(super) fn new(loaded: &Loaded) -> Self {
        let warnings = loaded.warnings.iter().map(|w| w.message.clone()).collect();
        Self { ok: true, path: loaded.path.clone(), warnings }
    }
}

impl Answer for Checked {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, _: Style) -> String {
        match &self.path {
            Some(path) => format!("{} is right\n", path.display()),
            None => "no configuration file; the defaults are right\n".to_owned(),
        }
    }
}

/// Answer to `config show`.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    path: Option<PathBuf>,
    keys: Vec<ShownKey>,
}

#[derive(Debug, Serialize)]
struct ShownKey {
    key: String,
    /// As it would be written in the file; null when the key has no value.
    value: Option<String>,
    /// What holds when it has none.
    #[serde(skip_serializing_if = "str::is_empty")]
    unset: &'static str,
    /// `default`, `file`, `environment` or `option`.
    origin: &'static str,
    /// Line of the file, name of the variable or option.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

impl Shown {
    pub(super) fn new(loaded: &Loaded) -> Self {
        Self { path: loaded.path.clone(), keys: loaded.effective().into_iter().map(shown).collect() }
    }
}

fn shown(row: Effective) -> ShownKey {
    let (origin, place) = match row.origin {
        Origin::Default => ("default", None),
        Origin::File(line) => ("file", Some(line.to_string())),
        Origin::Variable(name) if name.starts_with("--") => ("option", Some(name)),
        Origin::Variable(name) => ("environment", Some(name)),
    };
    let key = format!("{}.{}", row.section, row.name);
    let unset = if row.value.is_none() { row.unset } else { "" };
    ShownKey { key, value: row.value, unset, origin, place }
}

impl Answer for Shown {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, style: Style) -> String {
        let mut out = match &self.path {
            Some(path) => format!("# {}\n", path.display()),
            None => "# no configuration file\n".to_owned(),
        };
        let lines = self.keys.iter().map(|key| {
            let name = key.key.split_once('.').map_or("", |(_, name)| name);
            key.value.as_ref().map_or_else(|| format!("# {name}: {}", key.unset), |v| format!("{name} = {v}"))
        });
        let lines: Vec<String> = lines.collect();
        let width =
            if style.aligned { lines.iter().map(|l| l.chars().count()).max().unwrap_or(0) } else { 0 };
        // Lists of Endpoint IDs would push every comment off the screen.
        let width = width.min(60);
        let mut section = "";
        for (key, line) in self.keys.iter().zip(&lines) {
            let here = key.key.split_once('.').map_or("", |(section, _)| section);
            if here != section {
                let _ = writeln!(out, "\n[{here}]");
                section = here;
            }
            let from = match (&key.origin, &key.place) {
                (&"file", Some(line)) => format!("line {line}"),
                (_, Some(name)) => name.clone(),
                (origin, None) => (*origin).to_owned(),
            };
            let _ = writeln!(out, "{line:<width$}  # {from}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::PIPE;
    use crate::config::{Variables, parse};

    #[test]
    fn what_is_shown_says_where_it_comes_from_and_loads_back() {
        let variables = Variables::from([
            ("REFLECTOR__QUOTAS__COOLDOWN_SEC".to_owned(), "9".to_owned()),
            ("--bind".to_owned(), "127.0.0.1:0".to_owned()),
        ]);
        let loaded = parse("[network]\nmode = \"tunneled\"\n", &variables).unwrap();
        let text = Shown::new(&loaded).text(PIPE);
        assert!(text.contains("\n[network]\nlisten_address = \"127.0.0.1:0\"  # --bind\n"), "{text}");
        assert!(text.contains("\nmode = \"tunneled\"  # line 2\n"), "{text}");
        assert!(text.contains("\ncooldown_sec = 9  # REFLECTOR__QUOTAS__COOLDOWN_SEC\n"), "{text}");
        assert!(text.contains("\nmax_concurrent_tests = 1  # default\n"), "{text}");
        assert!(text.contains("\n# max_rate: not set: no cap  # default\n"), "{text}");
        assert_eq!(parse(&text, &Variables::new()).unwrap().config, loaded.config);
        let json: serde_json::Value = serde_json::from_str(&Shown::new(&loaded).json().unwrap()).unwrap();
        assert_eq!(json["keys"][1]["origin"], "option");
    }
}
