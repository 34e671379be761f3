//! One folder with every program by its name, whatever set it comes from: what a PATH and containerd want.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::cache::{Cache, key};
use super::progress::Progress;

/// Argo CD is one program that does what its name says.
pub(super) const ARGOCD_NAMES: [&str; 2] = ["argocd-application-controller", "argocd-repo-server"];

/// Every program in these folders, by its name.
pub(super) fn of_folders(folders: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>> {
    let mut targets = BTreeMap::new();
    for folder in folders {
        for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
            if path.is_dir() {
                // Manifests are no programs.
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let other = targets.insert(name, path.clone());
            ensure!(other.is_none(), "{} is built by two sets", path.display());
        }
    }
    Ok(targets)
}

/// The folder with these links. Another choice of programs is another folder, so that a running bed keeps its own.
pub(super) fn ready(
    targets: &BTreeMap<String, PathBuf>,
    cache: &Cache,
    progress: &mut Progress,
) -> Result<PathBuf> {
    let text: Vec<String> = targets.iter().map(|(name, path)| format!("{name} {}", path.display())).collect();
    let parts: Vec<&str> = text.iter().map(String::as_str).collect();
    cache.obtain("bin", &key(&parts), progress, |stage, _, _| {
        for (name, path) in targets {
            symlink(path, stage.join(name)).with_context(|| format!("link {name} to {}", path.display()))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(programs: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for program in programs {
            fs::write(folder.path().join(program), format!("I am {program}")).unwrap();
        }
        folder
    }

    #[test]
    fn programs_of_all_sets_stand_in_one_folder() {
        let (one, two) = (folder_with(&["kubelet", "kubectl"]), folder_with(&["kine"]));
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir(two.path().join("manifests")).unwrap();
        let mut targets = of_folders(&[one.path().into(), two.path().into()]).unwrap();
        assert!(!targets.contains_key("manifests"));
        targets.insert("other-name".into(), one.path().join("kubectl"));
        let bin = ready(&targets, &Cache::at(cache.path()), &mut Progress::silent()).unwrap();
        for (name, text) in
            [("kubelet", "I am kubelet"), ("kine", "I am kine"), ("other-name", "I am kubectl")]
        {
            assert_eq!(fs::read_to_string(bin.join(name)).unwrap(), text);
        }
        targets.remove("kine");
        assert_ne!(ready(&targets, &Cache::at(cache.path()), &mut Progress::silent()).unwrap(), bin);
    }

    #[test]
    fn a_name_that_two_sets_build_is_refused() {
        let (one, two) = (folder_with(&["kubectl"]), folder_with(&["kubectl"]));
        let error = of_folders(&[one.path().into(), two.path().into()]).unwrap_err();
        assert!(error.to_string().contains("kubectl is built by two sets"));
    }
}
