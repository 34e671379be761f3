use std::path::Path;

use proptest::prelude::*;

use super::super::chain::{Head, seal};
use super::super::event::{Event, EventType};
use super::super::line::{Entry, Opens, render};
use super::*;

/// A log as the writer makes it; with `start > 1` it begins after a rotation.
fn log(start: u64, lines: u64) -> (Vec<String>, Head) {
    let mut head = Head { seq: start - 1, ..Head::GENESIS };
    let mut out = Vec::new();
    for number in 0..lines {
        let event = Event { bytes: Some(number), ..Event::new(EventType::SessionCompleted) };
        let entry = Entry {
            event,
            at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
            endpoint_id: crds::EndpointId::from_public_key([7; 32]),
            suppressed: 0,
        };
        let opens = (number == 0).then_some(if start == 1 { Opens::New } else { Opens::Rotated });
        let (line, after) = render(&entry, head, opens, 0).unwrap();
        out.push(line);
        head = after;
    }
    (out, head)
}

fn verify(files: &[&[String]], head: Option<Head>) -> Report {
    let mut walk = Walk::new(head);
    for (number, file) in files.iter().enumerate() {
        walk.file(Path::new(&format!("file{number}")));
        file.iter().for_each(|line| walk.line(line.as_bytes()));
    }
    walk.finish()
}

/// File, line, seq and fault of each problem.
fn faults(report: &Report) -> Vec<(String, u64, Option<u64>, Fault)> {
    let row = |p: &Problem| (p.file.display().to_string(), p.line, p.seq, p.fault.clone());
    report.problems.iter().map(row).collect()
}

fn one(file: &str, line: u64, seq: Option<u64>, fault: Fault) -> Vec<(String, u64, Option<u64>, Fault)> {
    vec![(file.to_owned(), line, seq, fault)]
}

/// L1
#[test]
fn an_untouched_log_over_three_files_is_intact() {
    let (lines, head) = log(1, 9);
    let report = verify(&[&lines[..4], &lines[4..5], &lines[5..]], Some(head));
    assert!(report.intact, "{report}");
    assert_eq!((report.lines, report.first_seq, report.last), (9, Some(1), Some(head)));
    assert_eq!(report.files.iter().map(|file| file.lines).collect::<Vec<_>>(), [4, 1, 4]);
}

#[test]
fn a_removed_line_is_found_where_it_was() {
    let (mut lines, head) = log(1, 9);
    lines.drain(3..5);
    let report = verify(&[&lines[..3], &lines[3..]], Some(head));
    assert_eq!(faults(&report), one("file1", 1, Some(6), Fault::Removed { from: 4, to: 5 }));
    assert!(report.to_string().contains("file1:1: seq 6: lines 4 to 5 before it were removed"), "{report}");
}

#[test]
fn a_changed_line_is_found_once() {
    let (mut lines, head) = log(1, 9);
    lines[4] = lines[4].replace("\"bytes\":4", "\"bytes\":5");
    assert_eq!(faults(&verify(&[&lines], Some(head))), one("file0", 5, Some(5), Fault::Changed));
}

/// Whoever changes a line and computes its hash anew is given away by the next one.
#[test]
fn a_replaced_line_is_found_at_the_next_one() {
    let (mut lines, head) = log(1, 9);
    let (body, _) = lines[4].split_once(",\"hash\"").unwrap();
    let prev =
        serde_json::from_str::<serde_json::Value>(&lines[4]).unwrap()["prev"].as_str().unwrap().to_owned();
    let body = format!("{}}}", body.replace("\"bytes\":4", "\"bytes\":5"));
    lines[4] = seal(body, prev.parse().unwrap()).0;
    assert_eq!(faults(&verify(&[&lines], Some(head))), one("file0", 6, Some(6), Fault::Replaced));
}

#[test]
fn a_replaced_last_line_is_found_when_the_head_is_known() {
    let (lines, head) = log(1, 3);
    let (mut other, _) = log(1, 3);
    other[2] = log(3, 1).0.remove(0);
    assert_eq!(faults(&verify(&[&other[2..]], None)), []);
    let found = faults(&verify(&[&other[2..]], Some(head)));
    assert_eq!(found, one("file0", 1, Some(3), Fault::HeadDiffers { expected: head.hash }));
    assert!(verify(&[&lines], Some(head)).intact);
}

#[test]
fn swapped_lines_are_found() {
    let (mut lines, head) = log(1, 9);
    lines.swap(2, 3);
    assert_eq!(faults(&verify(&[&lines], Some(head))), one("file0", 4, Some(3), Fault::Reordered));
}

#[test]
fn files_in_the_wrong_order_are_found() {
    let (lines, head) = log(1, 4);
    let report = verify(&[&lines[2..], &lines[..2]], Some(head));
    assert!(!report.intact, "{report}");
}

#[test]
fn a_repeated_line_is_found() {
    let (mut lines, head) = log(1, 9);
    lines.insert(6, lines[2].clone());
    assert_eq!(faults(&verify(&[&lines], Some(head))), one("file0", 7, Some(3), Fault::Duplicated));
}

#[test]
fn a_cut_off_end_is_found_when_the_head_is_known() {
    let (mut lines, head) = log(1, 9);
    lines.truncate(7);
    let report = verify(&[&lines], Some(head));
    assert_eq!(faults(&report), one("file0", 7, None, Fault::Truncated { expected: 9 }));
    let blind = verify(&[&lines], None);
    assert!(blind.intact && blind.to_string().contains("no head is known"), "{blind}");
}

#[test]
fn lines_removed_at_the_start_are_told_from_files_that_were_rotated_away() {
    let (lines, head) = log(5, 4);
    let rotated = verify(&[&lines], Some(head));
    assert!(rotated.intact, "{rotated}");
    assert!(rotated.to_string().contains("older files with lines 1 to 4 were not given"), "{rotated}");
    let report = verify(&[&lines[1..]], Some(head));
    assert_eq!(faults(&report), one("file0", 1, Some(6), Fault::StartRemoved));
}

#[test]
fn lines_written_after_the_head_was_read_are_no_fault() {
    let (lines, _) = log(1, 9);
    let (_, earlier) = log(1, 4);
    assert!(verify(&[&lines], Some(earlier)).intact);
}

/// A file of rubbish, and one with a gap at every line: the report stays small and never says "intact".
#[test]
fn a_file_of_rubbish_gives_a_bounded_report() {
    let rubbish = vec!["rubbish".to_owned(); 500];
    let report = verify(&[&rubbish], None);
    assert_eq!((report.problems.len(), report.more_problems, report.intact), (100, 400, false));
    let (lines, _) = log(1, 1000);
    let gaps: Vec<String> = lines.into_iter().step_by(2).collect();
    let report = verify(&[&gaps], None);
    assert_eq!((report.problems.len(), report.more_problems, report.intact), (100, 399, false));
}

#[test]
fn a_torn_end_is_a_fault_unless_everything_written_is_there() {
    for (head, last_file, intact) in [(true, true, true), (false, true, false), (true, false, false)] {
        let (lines, end) = log(1, 3);
        let mut walk = Walk::new(head.then_some(end));
        walk.file(Path::new("file"));
        for line in &lines {
            walk.line(line.as_bytes());
        }
        walk.torn(last_file);
        assert_eq!(walk.finish().intact, intact, "{head} {last_file}");
    }
}

#[derive(Debug, Clone)]
enum Harm {
    Remove(usize),
    Flip(usize, usize, u8),
    Swap(usize, usize),
    Repeat(usize, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let line = 0_usize..12;
    prop_oneof![
        line.clone().prop_map(Harm::Remove),
        (line.clone(), 0_usize..1000, 1_u8..128).prop_map(|(at, byte, flip)| Harm::Flip(at, byte, flip)),
        (line.clone(), line.clone())
            .prop_filter("two lines", |(a, b)| a != b)
            .prop_map(|(a, b)| Harm::Swap(a, b)),
        (line.clone(), line).prop_map(|(from, to)| Harm::Repeat(from, to)),
    ]
}

proptest! {
    /// Any harm, anywhere, in any split over files, with the head known: found, and not before the file it is in.
    #[test]
    fn no_harm_goes_unnoticed(harm in harm(), split in 0_usize..12) {
        let (lines, head) = log(1, 12);
        let mut lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        let first = match harm {
            Harm::Remove(at) => { lines.remove(at); at }
            Harm::Flip(at, byte, flip) => { let byte = byte % lines[at].len(); lines[at][byte] ^= flip; at }
            Harm::Swap(a, b) => { lines.swap(a, b); a.min(b) }
            Harm::Repeat(from, to) => { let line = lines[from].clone(); lines.insert(to, line); to }
        };
        let mut walk = Walk::new(Some(head));
        walk.file(Path::new("old"));
        for (number, line) in lines.iter().enumerate() {
            if number == split { walk.file(Path::new("new")); }
            walk.line(line);
        }
        let report = walk.finish();
        prop_assert!(!report.intact, "{}", report);
        if split <= first && split < lines.len() {
            prop_assert!(report.problems.iter().all(|problem| problem.file == Path::new("new")), "{}", report);
        }
    }

    #[test]
    fn an_untouched_log_is_intact_wherever_it_is_cut_into_files(lines in 1_u64..20, start in 1_u64..50, split in 0_usize..20) {
        let (lines, head) = log(start, lines);
        let split = split.min(lines.len());
        let report = verify(&[&lines[..split], &lines[split..]], Some(head));
        prop_assert!(report.intact, "{}", report);
    }
}
