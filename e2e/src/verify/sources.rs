//! The text files of the tree, for the steps that read them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// What is not ours: build output, and git's own (a folder, or a file in a linked worktree).
const FOREIGN: [&str; 2] = ["target", ".git"];

/// A text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// From the top of the tree, with `/`.
    pub(super) path: String,
    /// What it says.
    pub(super) text: String,
    /// Whether its owner may execute it.
    pub(super) executable: bool,
}

/// Every file below `root` that is text, sorted by path. Links are not followed.
pub(super) fn read(root: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let listing = fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        for entry in listing {
            let entry = entry.with_context(|| format!("read {}", folder.display()))?;
            let path = entry.path();
            let kind = entry.file_type().with_context(|| format!("look at {}", path.display()))?;
            if FOREIGN.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                let mode = entry
                    .metadata()
                    .with_context(|| format!("look at {}", path.display()))?
                    .permissions()
                    .mode();
                if let Ok(text) = String::from_utf8(bytes) {
                    let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                    found.push(Source { path, text, executable: mode & 0o100 != 0 });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_build_output_is_not() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["target/debug", "fuzz/target", ".ci", ".git"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("run"), "x").unwrap();
        }
        fs::create_dir(dir.path().join("linked")).unwrap();
        fs::write(dir.path().join("linked/.git"), "gitdir: elsewhere").unwrap();
        fs::write(dir.path().join("a.bin"), [0xff, 0xfe]).unwrap();
        fs::write(dir.path().join("b.md"), "hello").unwrap();
        let paths: Vec<String> = read(dir.path()).unwrap().into_iter().map(|source| source.path).collect();
        assert_eq!(paths, [".ci/run", "b.md"]);
    }
}
