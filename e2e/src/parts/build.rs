//! Builds one set into the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::cache::{Cache, Lock, key};
use super::child;
use super::go::Go;
use super::progress::Progress;
use super::sets::{MANIFESTS, Set};

/// How long one set may take. The longest takes six minutes on two idle cores, and the modules may come slowly.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// How long Go may look for a module that it has just used.
const LOOK: Duration = Duration::from_secs(60);
/// Part of every key: what is done to a set besides what its files and flags say. Count it up after a change here.
const RECIPE: &str = "1";
/// The same programs wherever they are built, from exactly the modules that `go.sum` names.
const GOFLAGS: &str = "-mod=readonly -buildvcs=false";
/// What the user's shell may say about building and our programs must not depend on.
const UNSET: [&str; 7] = ["GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GO111MODULE", "GOROOT"];

/// The folder with the programs of a set; builds them unless the cache has them.
pub(super) fn ready(set: &Set, go: &Go, cache: &Cache, progress: &mut Progress) -> Result<PathBuf> {
    let flags = set.linker_flags()?;
    let key = set_key(set, go, &flags);
    cache.obtain(set.name, &key, progress, |stage, lock, progress| {
        build(set, go, &flags, Paths { stage, log: &cache.log(set.name)? }, lock, progress)
    })
}

#[derive(Clone, Copy)]
struct Paths<'a> {
    stage: &'a Path,
    log: &'a Path,
}

fn build(
    set: &Set,
    go: &Go,
    flags: &str,
    paths: Paths<'_>,
    lock: &Lock,
    progress: &mut Progress,
) -> Result<()> {
    // Go works on a copy: nothing it does can reach the checkout.
    let sources = tempfile::tempdir_in(paths.stage).context("create a folder for the sources")?;
    for (name, text) in set.files {
        fs::write(sources.path().join(name), text)
            .with_context(|| format!("write {name} of {}", set.name))?;
    }
    let mut command = command(set, go, flags, paths.stage);
    // What it writes on the way lies there, too: killed, it leaves nothing that the next build does not clear.
    command.current_dir(sources.path()).env("GOTMPDIR", sources.path()).stdin(lock.hold()?);
    let what = format!("{}: building {}", set.name, names(set));
    let took = child::run(command, &what, paths.log, LIMIT, progress).with_context(|| {
        format!("build {} with {}; it needs the Go module proxy (see `go env GOPROXY`)", set.name, go.version)
    })?;
    keep_manifests(set, go, paths.stage, sources.path(), lock)?;
    // Before the result gets its name: sources are no program.
    sources.close().context("remove the sources")?;
    for program in set.programs {
        let built = paths.stage.join(built_as(program.package));
        let named = paths.stage.join(program.name);
        if built != named {
            fs::rename(&built, &named)
                .with_context(|| format!("rename {} to {}", built.display(), program.name))?;
        }
        ensure!(
            named.is_file(),
            "the build of {} made no {}; its log is {}",
            set.name,
            program.name,
            paths.log.display()
        );
    }
    progress.done(&format!("{}: built in {} s", set.name, took.as_secs()));
    Ok(())
}

/// Copies what is wanted of the modules, which the build has got.
fn keep_manifests(set: &Set, go: &Go, stage: &Path, sources: &Path, lock: &Lock) -> Result<()> {
    for manifest in set.manifests {
        let answer = sources.join("module-folder");
        let mut list = clean(go);
        list.args(["list", "-m", "-f", "{{.Dir}}", manifest.module]);
        list.current_dir(sources).stdin(lock.hold()?);
        let what = format!("{}: finding {}", set.name, manifest.module);
        child::run(list, &what, &answer, LOOK, &mut Progress::silent())?;
        let folder = fs::read_to_string(&answer).with_context(|| format!("read what {what} said"))?;
        let from = Path::new(folder.trim_end()).join(manifest.path);
        let into = stage.join(MANIFESTS);
        fs::create_dir_all(&into).with_context(|| format!("create {}", into.display()))?;
        fs::copy(&from, into.join(from.file_name().unwrap_or_default()))
            .with_context(|| format!("copy {}", from.display()))?;
    }
    Ok(())
}

fn command(set: &Set, go: &Go, flags: &str, into: &Path) -> Command {
    let mut command = clean(go);
    command
        .args(["build", "-trimpath", "-ldflags", flags, "-o"])
        // With a slash at its end go takes it for a folder, even for a single program.
        .arg(into.join(""))
        .args(set.programs.iter().map(|program| program.package));
    command
}

/// Go, with nothing of the user's shell.
fn clean(go: &Go) -> Command {
    let mut command = child::owned(&go.program);
    for variable in UNSET {
        command.env_remove(variable);
    }
    command.env("CGO_ENABLED", "0").env("GOFLAGS", GOFLAGS).env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    command
}

/// Everything that decides what comes out.
fn set_key(set: &Set, go: &Go, flags: &str) -> String {
    let mut parts = vec![RECIPE, set.name, &go.version, std::env::consts::ARCH, flags, GOFLAGS];
    for program in set.programs {
        parts.extend([program.package, program.name]);
    }
    for (name, text) in set.files {
        parts.extend([*name, *text]);
    }
    for manifest in set.manifests {
        parts.extend([manifest.module, manifest.path]);
    }
    key(&parts)
}

/// The file name that `go build` gives a program.
fn built_as(package: &str) -> &str {
    package.rsplit('/').next().unwrap_or(package)
}

fn names(set: &Set) -> String {
    set.programs.iter().map(|program| program.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::sets::{ALL, ARGOCD, KUBERNETES, PAUSE};
    use super::*;

    fn go(version: &str) -> Go {
        Go { program: "go".into(), version: version.into() }
    }

    #[test]
    fn whatever_decides_what_comes_out_changes_the_key() {
        let first = set_key(&KUBERNETES, &go("go1.26.6"), "-s");
        assert_eq!(first, set_key(&KUBERNETES, &go("go1.26.6"), "-s"));
        let changed = Set { files: &[("go.mod", "module x")], ..KUBERNETES };
        let renamed = Set { programs: ARGOCD.programs, ..KUBERNETES };
        let kept = Set { manifests: ARGOCD.manifests, ..KUBERNETES };
        for other in [
            set_key(&KUBERNETES, &go("go1.26.7"), "-s"),
            set_key(&KUBERNETES, &go("go1.26.6"), "-w"),
            set_key(&changed, &go("go1.26.6"), "-s"),
            set_key(&renamed, &go("go1.26.6"), "-s"),
            set_key(&kept, &go("go1.26.6"), "-s"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn what_a_shell_says_about_building_does_not_reach_go() {
        let command = command(&KUBERNETES, &go("go1.26.6"), "-s", Path::new("/stage"));
        let set: Vec<(String, Option<String>)> = command
            .get_envs()
            .map(|(name, value)| {
                (name.to_string_lossy().into(), value.map(|value| value.to_string_lossy().into()))
            })
            .collect();
        let is = |name: &str, value: Option<&str>| {
            assert!(set.contains(&(name.into(), value.map(Into::into))), "{name} in {set:?}");
        };
        is("GOOS", None);
        is("CGO_ENABLED", Some("0"));
        is("GOTOOLCHAIN", Some("local"));
        is("GOFLAGS", Some("-mod=readonly -buildvcs=false"));
        assert!(command.get_args().any(|argument| argument == "/stage/"));
    }

    #[test]
    fn two_programs_of_a_set_do_not_overwrite_each_other() {
        for set in ALL {
            let mut built: Vec<&str> = set.programs.iter().map(|program| built_as(program.package)).collect();
            built.sort_unstable();
            let all = built.len();
            built.dedup();
            assert_eq!(built.len(), all, "{}", set.name);
        }
    }

    #[test]
    fn a_failed_build_says_which_set_and_where_its_log_is_and_caches_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let go = Go { program: "/bin/false".into(), version: "go1.26.6".into() };
        let error = format!("{:#}", ready(&PAUSE, &go, &cache, &mut Progress::silent()).unwrap_err());
        assert!(error.contains("build pause with go1.26.6") && error.contains("logs/pause.log"), "{error}");
        assert_eq!(fs::read_dir(folder.path().join("sets")).unwrap().count(), 0);
    }

    #[test]
    fn a_build_that_makes_less_than_the_set_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let go = Go { program: "/bin/true".into(), version: "go1.26.6".into() };
        let error = ready(&PAUSE, &go, &Cache::at(folder.path()), &mut Progress::silent()).unwrap_err();
        assert!(error.to_string().contains("made no pause"), "{error}");
    }
}
