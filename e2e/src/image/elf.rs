//! What a program's header says: the processor it is for, and the loader it needs. Pure.

use anyhow::{Context as _, Result, bail, ensure};

use super::documents::Platform;

/// How much of a program's beginning holds all that is asked of it here. Linkers put it into the first page or two.
pub(super) const HEAD: u64 = 64 * 1024;

/// An entry of the program's table that names its loader.
const PT_INTERP: u32 = 3;

/// A Linux program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) platform: Platform,
    /// The path of its loader; a static program has none.
    pub(super) loader: Option<String>,
}

/// Reads the beginning of a file.
pub(super) fn read(head: &[u8]) -> Result<Program> {
    ensure!(head.starts_with(b"\x7fELF\x02\x01"), "it is no 64-bit little-endian ELF program");
    let platform = match number(head, 18, 2)? {
        62 => Platform::Amd64,
        183 => Platform::Arm64,
        other => bail!("it is for processor {other}; images are made for x86_64 and aarch64"),
    };
    let (table, size, entries) = (number(head, 32, 8)?, number(head, 54, 2)?, number(head, 56, 2)?);
    for index in 0..entries {
        let entry =
            index.checked_mul(size).and_then(|at| at.checked_add(table)).context("its header is damaged")?;
        let at = |offset: u64| entry.checked_add(offset).context("its header is damaged");
        if number(head, entry, 4)? == u64::from(PT_INTERP) {
            let (offset, length) = (number(head, at(8)?, 8)?, number(head, at(32)?, 8)?);
            let path = slice(head, offset, length)?;
            let path = path.strip_suffix(b"\0").context("its loader's path does not end")?;
            let path = std::str::from_utf8(path).context("its loader's path is no text")?;
            return Ok(Program { platform, loader: Some(path.to_owned()) });
        }
    }
    Ok(Program { platform, loader: None })
}

fn number(head: &[u8], offset: u64, bytes: u64) -> Result<u64> {
    let bytes = slice(head, offset, bytes)?;
    Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn slice(head: &[u8], offset: u64, length: u64) -> Result<&[u8]> {
    let range = usize::try_from(offset)
        .ok()
        .zip(offset.checked_add(length).and_then(|end| usize::try_from(end).ok()));
    range.and_then(|(start, end)| head.get(start..end)).context("its header points outside of its beginning")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one entry in its table, of this kind.
    fn program(machine: u8, kind: u8, loader: &[u8]) -> Vec<u8> {
        let mut head = vec![0; 120];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[18] = machine;
        head[32] = 64;
        head[54] = 56;
        head[56] = 1;
        head[64] = kind;
        head[64 + 8] = 120;
        head[64 + 32] = u8::try_from(loader.len()).unwrap();
        head.extend(loader);
        head
    }

    #[test]
    fn the_loader_of_a_dynamic_program_is_found() {
        let read = read(&program(183, 3, b"/lib/ld-linux-aarch64.so.1\0")).unwrap();
        assert_eq!(
            read,
            Program { platform: Platform::Arm64, loader: Some("/lib/ld-linux-aarch64.so.1".into()) }
        );
    }

    #[test]
    fn a_static_program_has_none() {
        assert_eq!(read(&program(62, 1, b"")).unwrap(), Program { platform: Platform::Amd64, loader: None });
    }

    #[test]
    fn what_is_no_program_of_ours_is_refused_and_never_read_outside_of() {
        assert!(read(b"#!/bin/sh\n").is_err());
        assert!(read(&program(40, 1, b"")).unwrap_err().to_string().contains("processor 40"));
        let whole = program(62, 3, b"/lib64/ld-linux-x86-64.so.2\0");
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "cut at {length}");
        }
        for place in [32, 54, 56, 64 + 8, 64 + 32] {
            let mut damaged = whole.clone();
            damaged[place..place + 2].fill(0xff);
            // An error or an answer, but no panic.
            let _ = read(&damaged);
        }
        let mut far = whole;
        far[32..40].fill(0xff);
        assert!(read(&far).is_err());
    }
}
