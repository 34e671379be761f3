//! The files of a layer, before they are a tar: sorted, without a way out of the image, every folder there before what
//! it holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// What a folder that nobody described may do.
const FOLDER_MODE: u32 = 0o755;

/// The files of one layer. All belong to root; their times are zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Node>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Folder { mode: u32 },
    File { mode: u32, content: Content },
    Link { target: String },
}

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Disk(PathBuf),
}

impl Files {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A folder. Those above a file need not be named.
    pub fn folder(self, path: &str, mode: u32) -> Result<Self> {
        self.with(path, Node::Folder { mode })
    }

    /// A file with these bytes.
    pub fn file(self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Result<Self> {
        self.with(path, Node::File { mode, content: Content::Bytes(bytes.into()) })
    }

    /// A file with the bytes of a file of this machine, which is read when the archive is written.
    pub fn copy(self, path: &str, mode: u32, from: &Path) -> Result<Self> {
        self.with(path, Node::File { mode, content: Content::Disk(from.into()) })
    }

    /// A symbolic link.
    pub fn link(self, path: &str, target: &str) -> Result<Self> {
        ensure!(!target.is_empty() && !target.contains('\0'), "the link {path} leads nowhere");
        ensure!(!target.split('/').any(|part| part == ".."), "the link {path} leads up with '..': {target}");
        self.with(path, Node::Link { target: target.to_owned() })
    }

    /// In the order of the tar: a folder comes before what it holds.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_str(), node))
    }

    fn with(mut self, path: &str, node: Node) -> Result<Self> {
        let path = inside(path)?;
        for (at, _) in path.match_indices('/') {
            let above = path.get(..at).unwrap_or_default();
            let folder = self.0.entry(above.to_owned()).or_insert(Node::Folder { mode: FOLDER_MODE });
            ensure!(matches!(folder, Node::Folder { .. }), "{above} is no folder, so {path} cannot be in it");
        }
        // A folder that was made as a parent may still be described: its mode was our guess.
        let guessed = self.0.get(path) == Some(&Node::Folder { mode: FOLDER_MODE });
        let folder = matches!(node, Node::Folder { .. });
        ensure!(!self.0.contains_key(path) || (guessed && folder), "{path} is in the image twice");
        self.0.insert(path.to_owned(), node);
        Ok(self)
    }
}

/// The path without its first slash. Whoever unpacks must not be led out of the folder he unpacks to.
fn inside(path: &str) -> Result<&str> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    ensure!(!inner.is_empty(), "a path in an image is empty");
    ensure!(!path.contains('\0'), "the path {path:?} has a NUL in it");
    for part in inner.split('/') {
        ensure!(!matches!(part, "" | "." | ".."), "the path {path} must not have '{part}' as a part");
    }
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(files: &Files) -> Vec<&str> {
        files.iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn folders_come_before_what_they_hold_in_whatever_order_they_were_named() {
        let files = Files::new().file("/usr/bin/b", 0o755, "").unwrap().file("a", 0o644, "").unwrap();
        let files = files.folder("usr/bin", 0o700).unwrap();
        assert_eq!(paths(&files), ["a", "usr", "usr/bin", "usr/bin/b"]);
        assert!(files.iter().any(|(path, node)| path == "usr/bin" && *node == Node::Folder { mode: 0o700 }));
    }

    #[test]
    fn a_path_that_leads_out_of_the_image_is_refused() {
        for path in ["..", "../a", "a/../b", "/a/..", "a//b", "./a", "a/.", "", "/", "//a", "a/", "a\0b"] {
            assert!(Files::new().file(path, 0o644, "").is_err(), "{path:?}");
            assert!(Files::new().folder(path, 0o755).is_err(), "{path:?}");
        }
        for target in ["../a", "a/..", "/a/../b", ""] {
            assert!(Files::new().link("a", target).is_err(), "{target}");
        }
        assert!(Files::new().file("a..b/...", 0o644, "").is_ok(), "dots inside a name are fine");
    }

    #[test]
    fn nothing_stands_below_a_file_or_in_the_same_place_twice() {
        let files = Files::new().link("a", "b").unwrap();
        assert!(files.clone().file("a/b", 0o644, "").unwrap_err().to_string().contains("a is no folder"));
        assert!(files.file("/a", 0o644, "").unwrap_err().to_string().contains("twice"));
    }
}
