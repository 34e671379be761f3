//! The one file of this room that reads the disk and the environment. It decides nothing but what exists.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::keys::VARIABLE_PREFIX;
use super::parse::{Loaded, Source, Variables, parse_source};
use super::report::Report;

/// Names a file that must exist.
const FILE_VARIABLE: &str = "REFLECTOR_CONFIG";
/// Folders that are searched.
const FOLDER_VARIABLES: [&str; 2] = ["XDG_CONFIG_HOME", "HOME"];
/// Where packages put it.
const SYSTEM_FILE: &str = "/etc/reflector/reflector.toml";
/// Under the user's configuration folder.
const USER_FILE: &str = "reflector/reflector.toml";
/// A hundred times the longest file anyone writes; `-c /dev/zero` must end.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that must exist does not, or a file that exists cannot be read.
    #[error("read configuration {} ({help})", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What to do.
        help: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// The file is not a configuration at all.
    #[error("read configuration {}: {problem}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A variable of ours that is not text.
    #[error("environment variable {name} is not UTF-8 text; set it again or unset it")]
    Variable {
        /// Its name.
        name: String,
    },
    /// It can be read, and is wrong.
    #[error("{0}")]
    Invalid(Report),
}

/// A file that may hold the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file.
    pub path: PathBuf,
    /// Somebody named it, so it must exist.
    pub named: bool,
}

/// Where to look, first to last: the file that was named and no other, or the system's, then the user's.
pub fn candidates(explicit: Option<&Path>, variables: &Variables) -> Vec<Candidate> {
    let variable = |name: &str| variables.get(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    if let Some(path) = explicit.map(Path::to_path_buf).or_else(|| variable(FILE_VARIABLE)) {
        return vec![Candidate { path, named: true }];
    }
    // The XDG specification: a relative folder is no folder.
    let xdg = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let user =
        xdg.or_else(|| variable("HOME").map(|home| home.join(".config"))).map(|path| path.join(USER_FILE));
    let found = std::iter::once(PathBuf::from(SYSTEM_FILE)).chain(user);
    found.map(|path| Candidate { path, named: false }).collect()
}

/// Reads the first candidate that exists, then the overrides. No candidate: defaults and overrides.
pub fn load(candidates: &[Candidate], variables: &Variables) -> Result<Loaded, Error> {
    for Candidate { path, named } in candidates {
        match read(path) {
            Ok(text) => {
                let source = Source { path: Some(path), text: &text };
                return parse_source(source, variables).map_err(Error::Invalid);
            }
            Err(Error::Read { source, .. }) if !named && is_absent(&source) => {}
            Err(error) => return Err(error),
        }
    }
    parse_source(Source { path: None, text: "" }, variables).map_err(Error::Invalid)
}

/// `/etc/reflector` may be missing, or be a file; anything else, permissions above all, is worth telling.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |source: std::io::Error| {
        let help = match source.kind() {
            std::io::ErrorKind::NotFound => "check -c/--config and REFLECTOR_CONFIG",
            std::io::ErrorKind::PermissionDenied => {
                "run as the reflector's user, or let this user read the file"
            }
            std::io::ErrorKind::IsADirectory => "name the file in that folder",
            _ => "check the path",
        };
        Error::Read { path: path.to_path_buf(), help, source }
    };
    let not_text = |problem: String| Error::NotText { path: path.to_path_buf(), problem };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LARGEST_FILE.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST_FILE) {
        return Err(not_text(format!("longer than {LARGEST_FILE} bytes; this is not a configuration")));
    }
    String::from_utf8(bytes).map_err(|e| {
        not_text(format!("byte {} is not UTF-8 text; save the file as UTF-8", e.utf8_error().valid_up_to()))
    })
}

/// The variables that concern us: overrides, the file's name, and the folders that are searched.
pub fn environment() -> Result<Variables, Error> {
    let mut variables = Variables::new();
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let ours = name.starts_with(VARIABLE_PREFIX) || name == FILE_VARIABLE;
        match value.into_string() {
            Ok(text) if ours || FOLDER_VARIABLES.contains(&name.as_str()) => {
                variables.insert(name, text);
            }
            Err(_) if ours => return Err(Error::Variable { name: name.escape_debug().to_string() }),
            _ => {}
        }
    }
    Ok(variables)
}

/// The host's name, which is ours unless `access.name` says otherwise.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
