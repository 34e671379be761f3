//! A layer as a tar: the same files give the same bytes.

use std::fs::File;
use std::io::{self, Read, Write};

use anyhow::{Context as _, Result};
use tar::{Builder, EntryType, Header};

use super::digest::{Digest, Measure};
use super::files::{Content, Files, Node};

/// What a layer is called after: nobody compresses it, so its digest is of its tar.
pub(super) fn measure(files: &Files) -> Result<(Digest, u64)> {
    let mut measure = Measure::new(io::sink());
    write(files, &mut measure)?;
    Ok(measure.finish())
}

/// Writes it.
pub(super) fn write(files: &Files, out: impl Write) -> Result<()> {
    let mut tar = Builder::new(out);
    for (path, node) in files.iter() {
        entry(&mut tar, path, node).with_context(|| format!("put {path} into a layer"))?;
    }
    tar.finish().context("end a layer")
}

fn entry(tar: &mut Builder<impl Write>, path: &str, node: &Node) -> Result<()> {
    match node {
        Node::Folder { mode } => {
            // With the slash that tar programs write.
            let mut header = header(EntryType::Directory, *mode, 0);
            tar.append_data(&mut header, format!("{path}/"), io::empty())?;
        }
        Node::Link { target } => tar.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target)?,
        Node::File { mode, content: Content::Bytes(bytes) } => {
            let mut header = header(EntryType::Regular, *mode, bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice())?;
        }
        Node::File { mode, content: Content::Disk(from) } => {
            let file = File::open(from).with_context(|| format!("open {}", from.display()))?;
            let size = file.metadata().with_context(|| format!("look at {}", from.display()))?.len();
            let mut header = header(EntryType::Regular, *mode, size);
            tar.append_data(&mut header, path, Exactly { file, left: size })
                .with_context(|| format!("copy {}", from.display()))?;
        }
    }
    Ok(())
}

/// An entry of nobody's machine: no time, no name of an owner.
pub(super) fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// As many bytes of a file as its header has promised: the tar would be broken by one more or one less.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.file).take(self.left).read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(files: &Files) -> Vec<u8> {
        let mut out = Vec::new();
        write(files, &mut out).unwrap();
        out
    }

    #[test]
    fn entries_say_nothing_of_the_machine_they_were_made_on() {
        let files = Files::new().folder("tmp", 0o1777).unwrap().file("bin/a", 0o755, "hello").unwrap();
        let files = files.link("bin/b", "a").unwrap();
        let tar = bytes(&files);
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
            assert_eq!((header.username().unwrap(), header.groupname().unwrap()), (Some(""), Some("")));
            seen.push((
                entry.path().unwrap().to_string_lossy().into_owned(),
                header.mode().unwrap(),
                header.size().unwrap(),
            ));
        }
        let expected = [("bin/", 0o755, 0), ("bin/a", 0o755, 5), ("bin/b", 0o777, 0), ("tmp/", 0o1777, 0)];
        assert_eq!(seen, expected.map(|(path, mode, size)| (path.to_owned(), mode, size)));
    }

    #[test]
    fn a_file_from_disk_is_the_same_as_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "hello").unwrap();
        let disk = Files::new().copy("a", 0o644, &path).unwrap();
        let memory = Files::new().file("a", 0o644, "hello").unwrap();
        assert_eq!(bytes(&disk), bytes(&memory));
        assert_eq!(measure(&disk).unwrap(), (Digest::of(&bytes(&memory)), bytes(&memory).len() as u64));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let files = Files::new().copy("a", 0o644, std::path::Path::new("/nowhere/x")).unwrap();
        let error = format!("{:#}", write(&files, io::sink()).unwrap_err());
        assert!(error.contains("put a into a layer") && error.contains("open /nowhere/x"), "{error}");
    }

    #[test]
    fn a_file_that_shrinks_is_an_error_and_one_that_grows_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "hello").unwrap();
        let read = |promised: u64| {
            let mut text = String::new();
            let mut reader = Exactly { file: File::open(&path).unwrap(), left: promised };
            reader.read_to_string(&mut text).map(|_| text)
        };
        assert_eq!(read(3).unwrap(), "hel");
        assert_eq!(read(6).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
