//! The walk along the chain: what each line should be, and which fault explains it when it is not.

use std::path::{Path, PathBuf};

use super::super::chain::{Broken, Hash, Head, Link, open};
use super::report::{Fault, FileReport, Problem, Report};

/// Problems told one by one; a log full of rubbish must not fill the memory of whoever checks it.
/// Test: `a_file_of_rubbish_gives_a_bounded_report`.
const MAX_PROBLEMS: usize = 100;

/// What must come next.
#[derive(Debug, Clone, Copy)]
struct Expected {
    seq: u64,
    /// What `prev` may be: two values after a changed line (what it says, what it should say), none after rubbish.
    prev: [Option<Hash>; 2],
}

/// Lines that were skipped, until they turn up or the log ends.
#[derive(Debug)]
struct Gap {
    from: u64,
    to: u64,
    file: PathBuf,
    line: u64,
    seq: u64,
}

/// A verification under way.
#[derive(Debug)]
pub(in crate::audit) struct Walk {
    expected_head: Option<Head>,
    expected: Option<Expected>,
    gaps: Vec<Gap>,
    report: Report,
}

impl Walk {
    /// `expected_head`: the last line known to have been written, from the server or the file beside the log.
    pub(in crate::audit) fn new(expected_head: Option<Head>) -> Self {
        let report = Report {
            intact: false,
            files: Vec::new(),
            lines: 0,
            first_seq: None,
            last: None,
            end_checked: expected_head.is_some(),
            lost: 0,
            suppressed: 0,
            problems: Vec::new(),
            more_problems: 0,
        };
        Self { expected_head, expected: None, gaps: Vec::new(), report }
    }

    /// The following lines are of this file.
    pub(in crate::audit) fn file(&mut self, path: &Path) {
        self.report.files.push(FileReport { path: path.to_owned(), lines: 0 });
    }

    /// The file is compressed: its lines count as unknown.
    pub(in crate::audit) fn compressed(&mut self) {
        self.problem(None, Fault::Compressed);
        self.expected = None;
    }

    /// A whole line, without its newline.
    pub(in crate::audit) fn line(&mut self, bytes: &[u8]) {
        self.count();
        match open(bytes) {
            Ok(link) => self.good(&link),
            Err(Broken::Unreadable) => self.unreadable(),
            Err(Broken::Changed { link, computed }) => self.changed(&link, computed),
        }
    }

    /// A line longer than any of ours.
    pub(in crate::audit) fn oversized(&mut self) {
        self.count();
        self.unreadable();
    }

    /// The last bytes of the log have no newline. While the server is writing that is what a reader may see, so it
    /// is a fault only when no head says that everything written is there.
    pub(in crate::audit) fn torn(&mut self, last_file: bool) {
        let complete = self.expected_head.is_some_and(|head| self.last_seq() >= head.seq);
        if !(last_file && complete) {
            self.count();
            self.problem(None, Fault::Torn);
        }
    }

    /// The end of the last file.
    pub(in crate::audit) fn finish(mut self) -> Report {
        for gap in std::mem::take(&mut self.gaps) {
            let fault = Fault::Removed { from: gap.from, to: gap.to };
            self.push(Problem { file: gap.file, line: gap.line, seq: Some(gap.seq), fault });
        }
        if let Some(head) = self.expected_head
            && head.seq > self.last_seq()
        {
            self.problem(None, Fault::Truncated { expected: head.seq });
        }
        let files = &self.report.files;
        let place = |problem: &Problem| {
            (files.iter().position(|file| file.path == problem.file), problem.line, problem.seq)
        };
        self.report.problems.sort_by_key(place);
        self.report.intact = self.report.problems.is_empty() && self.report.more_problems == 0;
        self.report
    }

    fn good(&mut self, link: &Link) {
        self.report.lost = self.report.lost.saturating_add(link.lost);
        self.report.suppressed = self.report.suppressed.saturating_add(link.suppressed);
        let Some(expected) = self.expected else { return self.first(link) };
        if link.seq < expected.seq {
            return self.late(link.seq);
        }
        if link.seq > expected.seq {
            self.gap(expected.seq, link.seq);
        } else if expected.prev.iter().any(Option::is_some) && !expected.prev.contains(&Some(link.prev)) {
            self.problem(Some(link.seq), Fault::Replaced);
        }
        self.hold(Head { seq: link.seq, hash: link.hash });
    }

    /// The first line we can hold on to. When lines are missing before it, it must say why.
    fn first(&mut self, link: &Link) {
        if self.report.first_seq.is_none() {
            self.report.first_seq = Some(link.seq);
            let begins = link.seq == 1 && link.prev == Hash::ZERO;
            if !begins && link.opens.is_none() {
                self.problem(Some(link.seq), Fault::StartRemoved);
            }
        }
        self.hold(Head { seq: link.seq, hash: link.hash });
    }

    fn changed(&mut self, link: &Link, computed: Hash) {
        self.problem(Some(link.seq), Fault::Changed);
        let seq = self.expected.map_or(link.seq, |expected| expected.seq);
        self.report.first_seq.get_or_insert(seq);
        self.advance(seq, [Some(link.hash), Some(computed)]);
    }

    fn unreadable(&mut self) {
        self.problem(None, Fault::Unreadable);
        if let Some(expected) = self.expected {
            self.advance(expected.seq, [None, None]);
        }
    }

    /// A number that is already behind us: it fills a gap, or it was there before.
    fn late(&mut self, seq: u64) {
        let Some(index) = self.gaps.iter().position(|gap| (gap.from..=gap.to).contains(&seq)) else {
            return self.problem(Some(seq), Fault::Duplicated);
        };
        let gap = self.gaps.swap_remove(index);
        if gap.from < seq {
            self.gaps.push(Gap { to: seq - 1, file: gap.file.clone(), ..gap });
        }
        if seq < gap.to {
            self.gaps.push(Gap { from: seq + 1, ..gap });
        }
        self.problem(Some(seq), Fault::Reordered);
    }

    fn gap(&mut self, from: u64, seq: u64) {
        if self.gaps.len() >= MAX_PROBLEMS {
            self.report.more_problems = self.report.more_problems.saturating_add(1);
            return;
        }
        let (file, line) = self.place();
        self.gaps.push(Gap { from, to: seq.saturating_sub(1), file, line, seq });
    }

    /// A line that is in its place: the next one must follow from it.
    fn hold(&mut self, found: Head) {
        self.report.last = Some(found);
        self.advance(found.seq, [Some(found.hash), None]);
        if let Some(head) = self.expected_head
            && head.seq == found.seq
            && head.hash != found.hash
        {
            self.problem(Some(found.seq), Fault::HeadDiffers { expected: head.hash });
        }
    }

    fn advance(&mut self, seq: u64, prev: [Option<Hash>; 2]) {
        self.expected = Some(Expected { seq: seq.saturating_add(1), prev });
    }

    fn last_seq(&self) -> u64 {
        let last = self.report.last.map_or(0, |last| last.seq);
        self.expected.map_or(last, |expected| expected.seq.saturating_sub(1))
    }

    fn count(&mut self) {
        self.report.lines = self.report.lines.saturating_add(1);
        if let Some(file) = self.report.files.last_mut() {
            file.lines = file.lines.saturating_add(1);
        }
    }

    fn place(&self) -> (PathBuf, u64) {
        self.report.files.last().map_or_else(Default::default, |file| (file.path.clone(), file.lines))
    }

    fn problem(&mut self, seq: Option<u64>, fault: Fault) {
        let (file, line) = self.place();
        self.push(Problem { file, line, seq, fault });
    }

    fn push(&mut self, problem: Problem) {
        if self.report.problems.len() < MAX_PROBLEMS {
            self.report.problems.push(problem);
        } else {
            self.report.more_problems = self.report.more_problems.saturating_add(1);
        }
    }
}
