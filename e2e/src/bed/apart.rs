//! A place apart, in which a second bed runs beside the first and neither sees the other: network, mounts, /run and
//! cgroups of its own.
//!
//! In: nothing but the right to make namespaces. Out: what precedes a command that is to run in there. The place ends
//! with its owner, and with it everything that was started in it; what a killed owner
//! left goes with the next, or with `cargo bed down`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::cgroups::{ENTER, delegate, inherit_cpus, make, remove};
use super::hierarchies::Hierarchies;
use super::running::folder;

/// What its cgroup is called in every hierarchy.
const NAME: &str = "reflector-bed-apart";
/// Where processes are in version 2, which wants them in leaves only.
const LEAF: &str = "inside";
/// Below what a bed is that says nothing of its folder, and what every place has of its own.
const OWN: &str = "/run";
/// Its arguments are where hierarchies are mounted. Each is covered by the part of it that is ours, so that software which
/// knows one place only, as the kubelet does, finds ours there. Whatever the first bed has mounted goes, here alone: a
/// sweep would find it in the list of mounts. The name says that it is done.
const FURNISH: &str = r#"
set -eu
for hierarchy in "$@"; do mount --bind "$hierarchy/reflector-bed-apart" "$hierarchy"; done
while read -r _ _ _ _ point _; do
  case "$point" in /run/*) umount --lazy "$point" 2>/dev/null || : ;; esac
done </proc/self/mountinfo
mount -t tmpfs tmpfs /run
ip link set lo up
exec sleep infinity
"#;
/// Making it takes a moment, and so does ending it.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The place, until dropped.
#[derive(Debug)]
pub struct Apart {
    hierarchies: Hierarchies,
    /// Holds the namespaces open.
    anchor: Child,
}

impl Apart {
    /// Makes it. There is one on a machine.
    pub fn open() -> Result<Self> {
        let folder = folder();
        ensure!(folder.starts_with(OWN), "the bed's folder, {}, is not below {OWN}", folder.display());
        let hierarchies = hierarchies()?;
        clear(&hierarchies).context("clear away what an earlier place apart left")?;
        for cgroup in hierarchies.each(NAME) {
            make(&cgroup)?;
            inherit_cpus(&cgroup)?;
        }
        make(&leaf(&hierarchies))?;
        if hierarchies.has_version_2_alone() {
            delegate(&hierarchies.unified())?;
        }
        let points: Vec<PathBuf> = hierarchies.points().cloned().collect();
        // It is the root of our hierarchies that is entered before the namespace is made: that is what it shows as `/`.
        let mut words = enter(hierarchies.each(NAME).collect());
        words.extend(
            ["unshare", "--net", "--mount", "--cgroup", "--propagation", "private"].map(OsString::from),
        );
        words.extend(["sh", "-c", FURNISH, "sh"].map(OsString::from));
        words.extend(points.into_iter().map(OsString::from));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
        let anchor = command.spawn().context("start the place apart")?;
        let mut place = Self { hierarchies, anchor };
        place.furnished()?;
        Ok(place)
    }

    /// What precedes a command that runs in there, in this folder, as does everything that it starts.
    pub fn inside(&self, folder: &Path) -> Vec<OsString> {
        let leaf = leaf(&self.hierarchies);
        let mut words = enter(self.hierarchies.version_1(NAME).chain([leaf]).collect());
        let target = self.anchor.id().to_string();
        words.extend(
            ["nsenter", "--target", &target, "--net", "--mount", "--cgroup", "--"].map(OsString::from),
        );
        // Who enters a mount namespace stands in its root.
        words.extend(["sh", "-c", r#"cd "$0" && exec "$@""#].map(OsString::from));
        words.push(folder.into());
        words
    }

    fn furnished(&mut self) -> Result<()> {
        let name = PathBuf::from(format!("/proc/{}/comm", self.anchor.id()));
        let became = wait_until(|| {
            let ended = self.anchor.try_wait().context("look at the place apart")?;
            ensure!(ended.is_none(), "the place apart ended at once; standard error says why");
            Ok(fs::read_to_string(&name).is_ok_and(|name| name.trim() == "sleep"))
        })?;
        ensure!(became, "the place apart is not ready after {PATIENCE:?}");
        // In version 2 the root of what is handed down may hold no process.
        let file = leaf(&self.hierarchies).join("cgroup.procs");
        fs::write(&file, self.anchor.id().to_string()).with_context(|| format!("write {}", file.display()))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // The next one clears away what stays, and says so when it cannot.
        let _ = fs::write(self.hierarchies.unified().join(NAME).join("cgroup.kill"), "1");
        let _ = self.anchor.kill();
        let _ = self.anchor.wait();
        let _ = clear(&self.hierarchies);
    }
}

/// Clears away what a killed owner left. Fine when there is nothing.
pub(super) fn sweep() -> Result<()> {
    clear(&hierarchies()?).context("clear away the second bed")
}

fn hierarchies() -> Result<Hierarchies> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read what is mounted")?;
    Hierarchies::read(&mounts).context("no cgroup2 is mounted")
}

fn leaf(hierarchies: &Hierarchies) -> PathBuf {
    hierarchies.unified().join(NAME).join(LEAF)
}

/// Enters these cgroups and becomes the rest.
fn enter(cgroups: Vec<PathBuf>) -> Vec<OsString> {
    let mut words = ["sh", "-c", ENTER, "sh"].map(OsString::from).to_vec();
    words.extend(cgroups.into_iter().map(OsString::from));
    words.push("--".into());
    words
}

/// Ends what runs in there, and removes its cgroups.
fn clear(hierarchies: &Hierarchies) -> Result<()> {
    let unified = hierarchies.unified().join(NAME);
    if unified.exists() {
        fs::write(unified.join("cgroup.kill"), "1").context("end what runs in it")?;
    }
    for cgroup in hierarchies.each(NAME) {
        let mut last = None;
        let gone = wait_until(|| Ok(remove(&cgroup).map_err(|error| last = Some(error)).is_ok()))?;
        if !gone {
            let why = last.map_or_else(String::new, |error| format!(": {error}"));
            bail!("{} stays busy{why}", cgroup.display());
        }
    }
    Ok(())
}

/// Whether it came true in time. No event tells of either of the things that are waited for here.
#[expect(clippy::disallowed_methods, reason = "the owner is a thread that has nothing else to do")]
fn wait_until(mut done: impl FnMut() -> Result<bool>) -> Result<bool> {
    let began = Instant::now();
    while !done()? {
        if began.elapsed() > PATIENCE {
            return Ok(false);
        }
        sleep(LOOK_AGAIN);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts;
    use crate::skipping::skip_test;

    fn run(place: &Apart, script: &str) -> String {
        let words = place.inside(Path::new("/usr/bin"));
        let output = Command::new(&words[0]).args(&words[1..]).args(["sh", "-c", script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_place_apart_sees_nothing_of_the_machines_and_leaves_nothing() {
        if let Some(why) = parts::lacking() {
            return skip_test(&why);
        }
        let place = Apart::open().unwrap();
        assert_eq!(run(&place, "pwd"), "/usr/bin\n");
        assert_eq!(run(&place, "tail -n +3 /proc/self/net/dev | cut -d: -f1; ls /run").trim(), "lo");
        assert_eq!(run(&place, "grep ' /run/' /proc/self/mountinfo || :"), "", "mounts of somebody else");
        run(&place, "ip link add rbed-bridge type bridge && touch /run/here");
        assert_eq!(run(&place, "ls /run"), "here\n");
        assert!(!PathBuf::from("/run/here").exists());
        // By its own view it is at the root of each hierarchy, where the kubelet will make its cgroups.
        let cgroups = run(&place, "cat /proc/self/cgroup");
        assert!(cgroups.lines().all(|line| line.ends_with(":/") || line.ends_with(":/inside")), "{cgroups}");
        run(
            &place,
            "mkdir /sys/fs/cgroup/unified/x 2>/dev/null || mkdir /sys/fs/cgroup/x; sleep 1000 >/dev/null 2>&1 &",
        );
        let cgroups: Vec<PathBuf> = place.hierarchies.each(NAME).collect();
        assert!(cgroups.iter().all(|cgroup| cgroup.exists()));
        drop(place);
        assert!(!cgroups.iter().any(|cgroup| cgroup.exists()), "{cgroups:?}");
    }
}
