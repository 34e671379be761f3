//! A child with less of the machine than there is: few descriptors, a small disk of its own.
//!
//! In: what to take away. Out: a command line around the child's own; `exec` keeps the process id, so signals and
//! `/proc` still mean the child. The small disk is a tmpfs in a private mount namespace: nobody else sees it, and it is
//! gone with the child. It takes root; [`Confine::missing`] says so before a test relies on it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs what follows the first argument with that many descriptors, soft and hard.
const FEW_DESCRIPTORS: &str = r#"ulimit -n "$1" && shift && exec "$@""#;
/// Mounts a tmpfs of so many bytes on a folder and runs what follows.
const SMALL_DISK: &str = r#"mount -t tmpfs -o "size=$1,mode=0700" tmpfs "$2" && shift 2 && exec "$@""#;

/// What a child may not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confine {
    descriptors: Option<u64>,
    disk: Option<(PathBuf, u64)>,
}

impl Confine {
    /// At most this many open files.
    #[must_use]
    pub const fn descriptors(mut self, most: u64) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// This folder, which must exist, is a disk of so many bytes. From outside it is reached with [`disk_of`].
    #[must_use]
    pub fn disk(mut self, folder: &Path, bytes: u64) -> Self {
        self.disk = Some((folder.to_owned(), bytes));
        self
    }

    /// Why a small disk cannot be had here; `None` when it can.
    pub fn missing() -> Option<String> {
        let folder = std::env::temp_dir();
        let mut words = Self::default().disk(&folder, 65_536).words();
        words.push("true".into());
        let mut words = words.into_iter();
        let tried = Command::new(words.next()?).args(words).output();
        match tried {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(format!("unshare: {error}")),
        }
    }

    /// The command that starts the child.
    pub(crate) fn command(&self, program: &Path, args: &[OsString]) -> (OsString, Vec<OsString>) {
        let mut words = self.words().into_iter().chain([program.into()]).chain(args.iter().cloned());
        (words.next().unwrap_or_default(), words.collect())
    }

    /// What precedes the child's own command line.
    fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut push = |more: &[&OsStr]| words.extend(more.iter().map(|word| (*word).to_owned()));
        if let Some((folder, bytes)) = &self.disk {
            push(&["unshare", "--mount", "sh", "-c", SMALL_DISK, "sh"].map(OsStr::new));
            push(&[bytes.to_string().as_ref(), folder.as_os_str()]);
        }
        if let Some(most) = self.descriptors {
            push(&["sh", "-c", FEW_DESCRIPTORS, "sh"].map(OsStr::new));
            push(&[most.to_string().as_ref()]);
        }
        words
    }
}

/// A path on a child's own disk, seen from outside.
pub fn disk_of(pid: u32, path: &Path) -> PathBuf {
    let inside = path.strip_prefix("/").unwrap_or(path);
    Path::new("/proc").join(pid.to_string()).join("root").join(inside)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::proc::{Ready, Spawn};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(folder: &Path, script: &str, confine: Confine) -> Spawn {
        Spawn::new(Path::new("/bin/sh"), folder).args(["-c", script]).confined(confine)
    }

    #[tokio::test]
    async fn a_child_with_few_descriptors_cannot_have_more() {
        let folder = tempfile::tempdir().unwrap();
        let script = "ulimit -Sn; ulimit -Hn; echo done; exec tail -f /dev/null";
        let mut child = shell(folder.path(), script, Confine::default().descriptors(37)).start().unwrap();
        child.ready(&Ready::Line("done".into()), SOON).await.unwrap();
        assert_eq!(child.stdout().unwrap(), "37\n37\ndone\n");
        child.sigterm().unwrap();
        let status = child.wait(SOON).await.unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(15),
            "exec keeps the process"
        );
    }

    #[tokio::test]
    async fn a_small_disk_is_seen_through_proc_and_by_nobody_else() {
        if let Some(why) = Confine::missing() {
            return crate::skipping::skip_test(&format!("a disk of its own: {why}"));
        }
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        std::fs::create_dir(&disk).unwrap();
        let script = format!("echo inside >'{}/file'; echo done; exec tail -f /dev/null", disk.display());
        let confine = Confine::default().disk(&disk, 65_536).descriptors(37);
        let mut child = shell(folder.path(), &script, confine).start().unwrap();
        child.ready(&Ready::Line("done".into()), SOON).await.unwrap();
        let file = disk_of(child.pid(), &disk.join("file"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "inside\n");
        let full = std::fs::write(file.with_file_name("filler"), vec![0; 100_000]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(disk.read_dir().unwrap().count(), 0);
    }
}
