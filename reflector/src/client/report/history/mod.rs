//! Results of before: a folder with one file per test, and how a result compares with the one before it.
//!
//! Whatever is in the folder that is no result is left alone and not read as one.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::atomic::{self, IfTaken};
use crate::client::result::{Phase, TestResult};
use crate::engine::evidence::Real;

use super::html;
use super::table::title;
use super::text::{plain, rate, time};

/// A result is written with a line per number; an hour of 16 streams is smaller.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// More files than this are not listed: at one test an hour, a year.
const MAX_FILES: usize = 10_000;
/// Of a target's name, for the name of its file.
const NAME_CHARS: usize = 60;
/// Two tests in one second have names one apart.
const SAME_NAME_TRIES: u32 = 100;

/// What can go wrong with the folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither `XDG_STATE_HOME` nor `HOME` is set.
    #[error("find the history: neither XDG_STATE_HOME nor HOME is set; name a folder")]
    NoHome,
    /// A result cannot be written as JSON.
    #[error("write a result as JSON")]
    Json(#[source] serde_json::Error),
    /// A page cannot be written where it is to go.
    #[error("write the page {}: {why}", path.display())]
    Page {
        /// Where.
        path: PathBuf,
        /// Why not, and what to do.
        why: String,
    },
    /// The file system said no.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Where results are kept when no folder is named: `$XDG_STATE_HOME/reflector/history`, by default below
/// `~/.local/state`.
#[expect(
    clippy::disallowed_methods,
    reason = "the history is the user's own, found as the XDG specification says"
)]
pub fn default_folder() -> Result<PathBuf, Error> {
    // The specification says to ignore relative paths.
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("reflector/history")).ok_or(Error::NoHome)
}

/// Keeps a result as JSON, and beside it as a page; returns the file of the JSON. Blocks. Both are the user's alone: they
/// say where the user is and whom they measure.
pub fn save(folder: &Path, result: &TestResult) -> Result<PathBuf, Error> {
    let failed = |action: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let mut json = result.to_json().map_err(Error::Json)?;
    json.push('\n');
    let base = file_base(result.started_at, &result.reflector.target);
    let mut path = folder.join(format!("{base}.json"));
    for next in 2..SAME_NAME_TRIES {
        match atomic::write(&path, json.as_bytes(), 0o600, IfTaken::Refuse) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = folder.join(format!("{base}-{next}.json"));
            }
            written => {
                written.map_err(failed("save the result as", &path))?;
                write_page(&page_of(&path), result)?;
                return Ok(path);
            }
        }
    }
    Err(failed("save the result as", &path)(io::ErrorKind::AlreadyExists.into()))
}

/// Whether a page can be written there, as far as can be told before there is one: a test costs bytes that a wrong name
/// should not. Blocks.
pub fn may_be_written(page: &Path) -> Result<(), Error> {
    let no = |why: &str| Error::Page { path: page.to_owned(), why: why.to_owned() };
    if page.is_dir() {
        return Err(no("it is a folder; name a file in it"));
    }
    // A bare name has an empty parent: the folder we are in.
    match page.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) if !parent.is_dir() => {
            Err(no(&format!("there is no folder {}; make it first", parent.display())))
        }
        _ => Ok(()),
    }
}

/// Writes a result as a page, over one that is there. The user's alone, like what is saved. Blocks.
pub fn write_page(page: &Path, result: &TestResult) -> Result<(), Error> {
    atomic::write(page, html::render(result).as_bytes(), 0o600, IfTaken::Replace)
        .map_err(|source| Error::Io { action: "write the page", path: page.to_owned(), source })
}

/// Where the page of a result is.
pub fn page_of(file: &Path) -> PathBuf {
    file.with_extension("html")
}

/// A name that sorts by time and holds nothing that means something to a shell or a file system.
fn file_base(started_at: Timestamp, target: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
    let target: String = target.chars().take(NAME_CHARS).map(safe).collect();
    format!("{}-{target}", started_at.strftime("%Y%m%dT%H%M%SZ"))
}

/// Every result in the folder, oldest first, with its file. A folder that is not there holds none. Blocks.
pub fn list(folder: &Path) -> Result<Vec<(PathBuf, TestResult)>, Error> {
    let failed = |source| Error::Io { action: "read the history", path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "json") && path.is_file())
        .collect();
    // Names begin with the time: of too many, the newest are read.
    paths.sort();
    let old = paths.len().saturating_sub(MAX_FILES);
    let mut found: Vec<(PathBuf, TestResult)> =
        paths.drain(old..).filter_map(|path| read(&path).map(|result| (path, result))).collect();
    found.sort_by_key(|(_, result)| result.started_at);
    Ok(found)
}

fn read(path: &Path) -> Option<TestResult> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    TestResult::from_json(&text).ok()
}

/// The newest of `before` that is older than `now` and measured the same reflector: the same Endpoint ID, or the same
/// name for what has none.
pub fn previous<'a>(before: &'a [(PathBuf, TestResult)], now: &TestResult) -> Option<&'a TestResult> {
    let whose = |result: &TestResult| {
        let remote = &result.reflector;
        remote.endpoint_id.clone().unwrap_or_else(|| remote.target.clone())
    };
    let same = |old: &&TestResult| old.started_at < now.started_at && whose(old) == whose(now);
    before.iter().map(|(_, result)| result).filter(same).max_by_key(|result| result.started_at)
}

/// One line per phase that both tests have: what became of its rate and of its round trips under load.
pub fn compare(before: &TestResult, now: &TestResult) -> Vec<String> {
    let pairs = now.phases.iter().filter_map(|phase| {
        let same = |old: &&Phase| {
            old.name == phase.name && old.mode == phase.mode && old.transport == phase.transport
        };
        before.phases.iter().find(same).map(|old| (old, phase))
    });
    pairs.filter_map(|(old, phase)| change(old, phase, before.started_at)).collect()
}

fn change(old: &Phase, phase: &Phase, when: Timestamp) -> Option<String> {
    let best = |phase: &Phase| phase.steady_mbps.or(phase.mbps).map(Real::value);
    let p95 = |phase: &Phase| phase.echo_loaded.as_ref().and_then(|echo| echo.p95_us).map(Real::value);
    let said = |old: f64, new: f64, say: fn(f64) -> String| {
        let percent =
            if old > 0.0 { format!(" ({:+.0} %)", (new / old - 1.0) * 100.0) } else { String::new() };
        format!("{} → {}{percent}", say(old), say(new))
    };
    let rates = best(old).zip(best(phase)).map(|(old, new)| said(old, new, rate));
    let times = p95(old).zip(p95(phase)).map(|(old, new)| format!("loaded 95 % {}", said(old, new, time)));
    let parts: Vec<String> = rates.into_iter().chain(times).collect();
    (!parts.is_empty()).then(|| {
        let when = when.strftime("%Y-%m-%d %H:%M UTC");
        plain(&format!("{}: {}, since {when}", title(phase), parts.join(", ")))
    })
}

#[cfg(test)]
mod tests;
