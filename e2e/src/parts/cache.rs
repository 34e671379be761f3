//! The folder that keeps what was built, outside the checkout: only whole results, found by what they were made from.
//!
//! A result is made in `unfinished/` and renamed to its final name when it is whole, so whatever has a final name is
//! whole. A lock per set keeps two builders apart. Old results go when there are too many.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use aws_lc_rs::digest::{Context as Hasher, SHA256};

use super::progress::Progress;

/// How many results of one set are kept: today's, those of two other branches, and one to go back to. A set of
/// Kubernetes is a third of a gigabyte. Test: `only_what_is_old_and_beyond_the_number_is_dropped`.
pub(super) const KEPT: usize = 4;
/// What was used within this time stays, whatever the number: a bed may be running it.
pub(super) const IN_USE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long another builder of the same set may take. The longest set takes six minutes on two idle cores.
const OTHER_BUILDER: Duration = Duration::from_secs(60 * 60);
/// How often the lock is tried. It announces itself to nobody.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// The folder of whole results.
const SETS: &str = "sets";

/// The cache. Everything below its folder is ours.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// The right to make one set. Held as long as any copy of the file is open; [`Lock::hold`] gives a child one.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// A copy for a child's standard input: should we be killed, nobody builds the same set beside an orphan.
    pub(super) fn hold(&self) -> Result<File> {
        self.0.try_clone().context("copy the lock of the cache")
    }
}

/// A name for what is made from exactly these parts. Lengths go in, so that no part can pose as another's end.
pub(super) fn key(parts: &[&str]) -> String {
    let mut hasher = Hasher::new(&SHA256);
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finish();
    digest.as_ref().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

impl Cache {
    /// The cache of whoever runs us: `$REFLECTOR_CACHE`, or a folder of ours where the user's caches are.
    #[expect(clippy::disallowed_methods, reason = "where the cache is, is the user's choice")]
    pub fn from_env() -> Result<Self> {
        let root = place(
            std::env::var_os("REFLECTOR_CACHE"),
            std::env::var_os("XDG_CACHE_HOME"),
            std::env::var_os("HOME"),
        )?;
        Ok(Self::at(root))
    }

    /// A cache in this folder, which need not exist.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The log of the last build of a set.
    pub(super) fn log(&self, name: &str) -> Result<PathBuf> {
        Ok(self.folder("logs")?.join(format!("{name}.log")))
    }

    /// Whether there is a result of this name and key.
    pub(super) fn has(&self, name: &str, key: &str) -> bool {
        self.finished(name, key).is_dir()
    }

    fn finished(&self, name: &str, key: &str) -> PathBuf {
        self.root.join(SETS).join(format!("{name}-{key}"))
    }

    /// The result of this name and key; made first unless it is there. `make` gets an empty folder and the lock.
    pub(super) fn obtain(
        &self,
        name: &str,
        key: &str,
        progress: &mut Progress,
        make: impl FnOnce(&Path, &Lock, &mut Progress) -> Result<()>,
    ) -> Result<PathBuf> {
        self.folder(SETS)?;
        let finished = self.finished(name, key);
        if !finished.is_dir() {
            let lock = self.lock(name, progress)?;
            // Another builder may have been faster.
            if !finished.is_dir() {
                let stage = self.folder("unfinished")?.join(name);
                clear(&stage)?;
                fs::create_dir(&stage).with_context(|| format!("create {}", stage.display()))?;
                make(&stage, &lock, progress)?;
                finish(&stage, &finished)?;
            }
            self.prune(name)?;
        }
        used_now(&finished)?;
        Ok(finished)
    }

    fn lock(&self, name: &str, progress: &mut Progress) -> Result<Lock> {
        let path = self.folder("locks")?.join(name);
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        let started = now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => {
                    return Err(source).with_context(|| format!("lock {}", path.display()));
                }
            }
            let waited = now().saturating_duration_since(started);
            if waited > OTHER_BUILDER {
                bail!(
                    "another process has been building {name} for {} s; it holds {}",
                    waited.as_secs(),
                    path.display()
                );
            }
            progress.tick(&format!("{name}: another process is building it"), waited);
            pause();
        }
    }

    /// Drops what is old and too much of this set.
    fn prune(&self, name: &str) -> Result<()> {
        let folder = self.folder(SETS)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry.with_context(|| format!("read {}", folder.display()))?;
            // A key has no dash, so a set's name cannot be the beginning of another's.
            let file = entry.file_name().to_string_lossy().into_owned();
            if file.rsplit_once('-').is_some_and(|(set, _)| set == name) {
                let used = entry.metadata().and_then(|data| data.modified());
                found.push((file, used.with_context(|| format!("look at {}", entry.path().display()))?));
            }
        }
        for file in superfluous(found, wall_clock()) {
            // Moved out of the way first: half of it must not look finished.
            let gone = self.folder("unfinished")?.join(format!("{file}.old"));
            clear(&gone)?;
            fs::rename(folder.join(&file), &gone).with_context(|| format!("drop {file} from the cache"))?;
            clear(&gone)?;
        }
        Ok(())
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).with_context(|| {
            format!("create {}; set REFLECTOR_CACHE to a folder that can be written", folder.display())
        })?;
        Ok(folder)
    }
}

fn place(ours: Option<OsString>, caches: Option<OsString>, home: Option<OsString>) -> Result<PathBuf> {
    let set = |value: Option<OsString>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = set(ours)
        .or_else(|| Some(set(caches)?.join("reflector-operator")))
        .or_else(|| Some(set(home)?.join(".cache/reflector-operator")))
        .context("find a folder for the cache; set REFLECTOR_CACHE")?;
    ensure!(
        root.is_absolute(),
        "the cache {} is no absolute path; set REFLECTOR_CACHE to one",
        root.display()
    );
    Ok(root)
}

/// The names to drop, given when each was last used.
fn superfluous(mut found: Vec<(String, SystemTime)>, now: SystemTime) -> Vec<String> {
    found.sort_by_key(|(_, used)| Reverse(*used));
    let idle = |used: SystemTime| now.duration_since(used).unwrap_or_default() > IN_USE;
    found.into_iter().skip(KEPT).filter(|(_, used)| idle(*used)).map(|(name, _)| name).collect()
}

/// Gives a whole result its name. What it holds is on the disk before, or a power cut could leave empty files behind it.
fn finish(stage: &Path, finished: &Path) -> Result<()> {
    let folder = File::open(stage).with_context(|| format!("open {}", stage.display()))?;
    rustix::fs::syncfs(&folder).with_context(|| format!("write {} to the disk", stage.display()))?;
    fs::rename(stage, finished)
        .with_context(|| format!("rename {} to {}", stage.display(), finished.display()))
}

fn used_now(finished: &Path) -> Result<()> {
    let folder = File::open(finished).with_context(|| format!("open {}", finished.display()))?;
    folder.set_modified(wall_clock()).with_context(|| format!("mark {} as used", finished.display()))
}

fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a wait for another process has a deadline")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "when a result was last used is a time of the file system")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[expect(clippy::disallowed_methods, reason = "a lock announces itself to nobody")]
fn pause() {
    std::thread::sleep(TRY_AGAIN);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obtain(cache: &Cache, key: &str, text: &str) -> Result<String> {
        let path = cache.obtain("set", key, &mut Progress::silent(), |stage, _, _| {
            Ok(fs::write(stage.join("program"), text)?)
        })?;
        Ok(fs::read_to_string(path.join("program"))?)
    }

    #[test]
    fn what_is_there_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        assert!(!cache.has("set", "aa"));
        assert_eq!(obtain(&cache, "aa", "first").unwrap(), "first");
        assert!(cache.has("set", "aa") && !cache.has("set", "bb"));
        assert_eq!(obtain(&cache, "aa", "second").unwrap(), "first");
        assert_eq!(obtain(&cache, "bb", "third").unwrap(), "third");
    }

    #[test]
    fn an_interrupted_build_leaves_nothing_that_looks_finished() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let failed = cache.obtain("set", "aa", &mut Progress::silent(), |stage, _, _| {
            fs::write(stage.join("program"), "half")?;
            fs::write(stage.join("leftover"), "")?;
            bail!("killed")
        });
        assert_eq!(failed.unwrap_err().to_string(), "killed");
        assert_eq!(fs::read_dir(folder.path().join("sets")).unwrap().count(), 0);
        assert_eq!(obtain(&cache, "aa", "whole").unwrap(), "whole");
        assert!(!folder.path().join("sets/set-aa/leftover").exists());
        assert_eq!(fs::read_dir(folder.path().join("unfinished")).unwrap().count(), 0);
    }

    #[test]
    fn a_second_builder_waits_and_takes_what_the_first_made() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let (tell, told) = std::sync::mpsc::channel();
        let second = cache.clone();
        let first = cache.obtain("set", "aa", &mut Progress::silent(), |stage, _, _| {
            let waits = move || tell.send(obtain(&second, "aa", "second").unwrap());
            std::thread::spawn(waits);
            assert!(told.recv_timeout(TRY_AGAIN * 2).is_err(), "it did not wait");
            Ok(fs::write(stage.join("program"), "first")?)
        });
        first.unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), "first");
    }

    #[test]
    fn an_orphan_that_holds_the_lock_keeps_others_out() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let lock = cache.lock("set", &mut Progress::silent()).unwrap();
        let orphan = lock.hold().unwrap();
        drop(lock);
        let other = File::open(folder.path().join("locks/set")).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(orphan);
        other.try_lock().unwrap();
    }

    #[test]
    fn only_what_is_old_and_beyond_the_number_is_dropped() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let aged = |days: u64| now - Duration::from_secs(days * 86_400) - Duration::from_secs(1);
        let found =
            |ages: &[u64]| ages.iter().map(|age| (format!("set-{age}"), aged(*age))).collect::<Vec<_>>();
        assert_eq!(superfluous(found(&[9, 3, 7, 5, 8, 4]), now), ["set-8", "set-9"]);
        assert!(superfluous(found(&[9, 8, 7, 5]), now).is_empty(), "no more than the number");
        let fresh: Vec<_> = (0..7).map(|n| (format!("set-{n}"), now - Duration::from_secs(n))).collect();
        assert!(superfluous(fresh, now).is_empty(), "all in use");
    }

    #[test]
    fn dropping_one_set_leaves_the_set_whose_name_is_longer() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let sets = cache.folder("sets").unwrap();
        for name in [
            "kubernetes-old-aa",
            "kubernetes-1",
            "kubernetes-2",
            "kubernetes-3",
            "kubernetes-4",
            "kubernetes-5",
        ] {
            fs::create_dir(sets.join(name)).unwrap();
            File::open(sets.join(name)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        cache.prune("kubernetes").unwrap();
        assert!(sets.join("kubernetes-old-aa").is_dir());
        assert_eq!(fs::read_dir(&sets).unwrap().count(), KEPT + 1);
    }

    #[test]
    fn the_key_is_of_every_part_and_of_where_it_ends() {
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["ab", ""]));
        assert_ne!(key(&["a", "b"]), key(&["a", "c"]));
        assert_eq!(key(&[]).len(), 16);
    }

    #[test]
    fn the_cache_is_where_the_user_says_and_else_where_caches_are() {
        let some = |text: &str| Some(OsString::from(text));
        assert_eq!(place(some("/a"), some("/b"), some("/c")).unwrap(), Path::new("/a"));
        assert_eq!(place(some(""), some("/b"), some("/c")).unwrap(), Path::new("/b/reflector-operator"));
        assert_eq!(place(None, None, some("/c")).unwrap(), Path::new("/c/.cache/reflector-operator"));
        assert!(place(None, None, None).unwrap_err().to_string().contains("REFLECTOR_CACHE"));
        assert!(place(some("a"), None, some("/c")).unwrap_err().to_string().contains("absolute"));
    }
}
