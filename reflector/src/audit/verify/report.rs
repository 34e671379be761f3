//! What a verification found, for people (`Display`) and programs (JSON).

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::super::chain::{Hash, Head};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Fault {
    /// Not a line of an audit log: overwritten, or never ours.
    Unreadable,
    /// The content does not fit the line's own hash.
    Changed,
    /// The line is consistent in itself but does not follow from the one before: that one was replaced, hash and all.
    Replaced,
    /// Lines between the one before and this one are gone.
    Removed {
        /// First missing number.
        from: u64,
        /// Last missing number.
        to: u64,
    },
    /// Lines at the start of the first file are gone: files begin with a line that says so, this one does not.
    StartRemoved,
    /// The line stands later than it was written.
    Reordered,
    /// A line with this number was there before.
    Duplicated,
    /// The log ends before the head that is known.
    Truncated {
        /// Number of the last line written, as far as known.
        expected: u64,
    },
    /// The log has another line where the known head should be.
    HeadDiffers {
        /// The hash that was expected.
        expected: Hash,
    },
    /// The last line has no end.
    Torn,
    /// A compressed file: what is in it was not checked.
    Compressed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("not a line of an audit log"),
            Self::Changed => f.write_str("changed after it was written"),
            Self::Replaced => f.write_str("the line before was replaced after it was written"),
            Self::Removed { from, to } if from == to => write!(f, "line {from} before it was removed"),
            Self::Removed { from, to } => write!(f, "lines {from} to {to} before it were removed"),
            Self::StartRemoved => f.write_str("lines before it were removed from this file"),
            Self::Reordered => f.write_str("stands later than it was written"),
            Self::Duplicated => f.write_str("a line with this number was there before"),
            Self::Truncated { expected } => write!(f, "the log ends here, but line {expected} was written"),
            Self::HeadDiffers { expected } => write!(f, "another line was written here (hash {expected})"),
            Self::Torn => f.write_str("the last line has no end"),
            Self::Compressed => f.write_str("is compressed: unpack it and verify again"),
        }
    }
}

/// One fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line number in it, from 1; 0 for the file as a whole.
    pub line: u64,
    /// Sequence number the line claims, when it can be read.
    pub seq: Option<u64>,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        f.write_str(": ")?;
        if let Some(seq) = self.seq {
            write!(f, "seq {seq}: ")?;
        }
        self.fault.fmt(f)
    }
}

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Lines in it, good or bad.
    pub lines: u64,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// True when nothing is wrong.
    pub intact: bool,
    /// The files, oldest first.
    pub files: Vec<FileReport>,
    /// Lines in all.
    pub lines: u64,
    /// Number of the first line. More than 1: older files were not given.
    pub first_seq: Option<u64>,
    /// The last line in order.
    pub last: Option<Head>,
    /// True when the end was compared with a head known from elsewhere.
    pub end_checked: bool,
    /// Events the log itself says could not be written.
    pub lost: u64,
    /// Denials the log itself says were only counted.
    pub suppressed: u64,
    /// What is wrong, in the order of the files; at most 100.
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub more_problems: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.intact { "intact" } else { "NOT intact" };
        let files = self.files.len();
        let plural = if files == 1 { "" } else { "s" };
        write!(f, "{verdict}: {} lines in {files} file{plural}", self.lines)?;
        if let (Some(first), Some(last)) = (self.first_seq, self.last) {
            write!(f, ", seq {first} to {}", last.seq)?;
        }
        f.write_str("\n")?;
        for problem in &self.problems {
            writeln!(f, "  {problem}")?;
        }
        if self.more_problems > 0 {
            writeln!(f, "  and {} more", self.more_problems)?;
        }
        if let Some(first) = self.first_seq.filter(|first| *first > 1) {
            writeln!(f, "note: older files with lines 1 to {} were not given", first.saturating_sub(1))?;
        }
        if !self.end_checked {
            f.write_str("note: no head is known, so lines removed at the very end cannot be noticed\n")?;
        }
        if self.lost > 0 {
            writeln!(f, "note: {} events could not be written when they happened", self.lost)?;
        }
        if self.suppressed > 0 {
            writeln!(f, "note: {} denials were counted instead of written (floods)", self.suppressed)?;
        }
        Ok(())
    }
}
