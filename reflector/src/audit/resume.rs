//! Where the chain goes on after a restart: at the last line of the file, or at the head noted beside it when the
//! file has lost its end.

use super::chain::{Broken, Head, open};

/// What is odd about the log we found. Reported once at start; none of it keeps the reflector from starting,
/// because a log that cannot go on would be the better attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Note {
    #[error("the last line was torn ({0} bytes, a crash while writing) and has been cut off")]
    Torn(u64),
    #[error("lines {from} to {to} are missing at the end of the audit log: run `reflector audit verify`")]
    TailMissing { from: u64, to: u64 },
    #[error("the last line of the audit log was changed: run `reflector audit verify`")]
    LastLineChanged,
}

/// Decides where the chain goes on. `last` is the last complete line of the file, `noted` the head beside it.
pub(super) fn resume(last: Option<&[u8]>, noted: Option<Head>) -> (Head, Option<Note>) {
    let noted_or_start = noted.unwrap_or(Head::GENESIS);
    let Some(last) = last else { return (noted_or_start, None) };
    let link = match open(last) {
        Ok(link) => link,
        Err(Broken::Unreadable | Broken::Changed { .. }) => {
            return (noted_or_start, Some(Note::LastLineChanged));
        }
    };
    let found = Head { seq: link.seq, hash: link.hash };
    match noted {
        // A line that was written but whose head was not yet noted: a crash in between.
        None => (found, None),
        Some(noted) if noted.seq < found.seq || noted == found => (found, None),
        Some(noted) if noted.seq == found.seq => (noted, Some(Note::LastLineChanged)),
        Some(noted) => (noted, Some(Note::TailMissing { from: found.seq.saturating_add(1), to: noted.seq })),
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::{Hash, seal};
    use super::*;

    fn line(seq: u64) -> (String, Head) {
        let (line, hash) = seal(format!("{{\"seq\":{seq},\"prev\":\"{}\"}}", Hash::ZERO), Hash::ZERO);
        (line, Head { seq, hash })
    }

    #[test]
    fn chain_goes_on_at_the_last_line() {
        let (last, head) = line(9);
        let (_, earlier) = line(8);
        assert_eq!(resume(None, None), (Head::GENESIS, None));
        for noted in [None, Some(earlier), Some(head)] {
            assert_eq!(resume(Some(last.as_bytes()), noted), (head, None));
        }
    }

    #[test]
    fn a_file_rotated_while_we_were_down_is_followed_by_the_noted_head() {
        assert_eq!(resume(None, Some(line(9).1)), (line(9).1, None));
    }

    /// The gap must stay visible: going on at the shorter end would heal it.
    #[test]
    fn lines_cut_off_while_we_were_down_leave_a_gap() {
        let (last, _) = line(5);
        let (_, noted) = line(9);
        let note = Some(Note::TailMissing { from: 6, to: 9 });
        assert_eq!(resume(Some(last.as_bytes()), Some(noted)), (noted, note));
    }

    #[test]
    fn a_changed_last_line_is_not_built_upon() {
        let (last, _) = line(9);
        let noted = Head { seq: 9, hash: line(1).1.hash };
        assert_eq!(resume(Some(last.as_bytes()), Some(noted)), (noted, Some(Note::LastLineChanged)));
        let changed = last.replacen('9', "8", 1);
        assert_eq!(resume(Some(changed.as_bytes()), Some(noted)), (noted, Some(Note::LastLineChanged)));
        assert_eq!(resume(Some(b"no json"), None), (Head::GENESIS, Some(Note::LastLineChanged)));
    }
}
