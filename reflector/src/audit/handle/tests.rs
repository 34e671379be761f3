use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use super::super::chain;
use super::super::event::EventType;
use super::super::export::export_log;
use super::super::files::{find, noted_head, verify_log};
use super::super::sink::Partial;
use super::super::verify::Fault;
use super::*;
use crate::metrics::PerPeer;

/// Longer than anything here takes; a test that needs it is stuck.
const PATIENCE: Duration = Duration::from_secs(20);

fn me() -> EndpointId {
    EndpointId::from_public_key([9; 32])
}

fn settings(path: &Path) -> Settings {
    Settings {
        target: Target::File(path.to_owned()),
        endpoint_id: me(),
        on_failure: OnFailure::Deny,
        metrics: Metrics::new(PerPeer::Hidden),
    }
}

fn event(bytes: u64) -> Event {
    Event { bytes: Some(bytes), ..Event::new(EventType::SessionCompleted) }
}

fn denial(source: [u8; 4]) -> Event {
    Event { source: Some(source.into()), ..Event::new(EventType::ConnectionDenied) }
}

fn log(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("audit.jsonl")
}

/// Every line of the log and its rotated files.
fn lines(path: &Path) -> Vec<Value> {
    let texts = find(path).unwrap().into_iter().map(|file| fs::read_to_string(file).unwrap());
    texts.collect::<String>().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Records so many events, one with each number as its bytes, and waits until they were tried.
async fn write(audit: &Audit, numbers: std::ops::Range<u64>) {
    for number in numbers {
        audit.record(event(number)).await;
    }
    // A busy disk may need longer than one flush waits.
    let flushed = async { while !audit.flush().await {} };
    tokio::time::timeout(PATIENCE, flushed).await.unwrap();
}

/// Closes the log: waits until the writer has let go of it.
async fn close(audit: Audit, path: &Path) {
    drop(audit);
    let free = async {
        while chain_is_locked(path) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.expect("the writer ends when the last handle is dropped");
}

fn chain_is_locked(path: &Path) -> bool {
    let head = File::open(super::super::sink::head_path(path)).unwrap();
    rustix::fs::flock(&head, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err()
}

/// L1
#[tokio::test]
async fn the_chain_goes_on_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    for start in 0..3 {
        let audit = Audit::open(settings(&log(&folder))).unwrap();
        write(&audit, start * 10..start * 10 + 10).await;
        assert_eq!(noted_head(&log(&folder)).unwrap(), Some(audit.head()));
        close(audit, &log(&folder)).await;
    }
    let report = verify_log(&log(&folder), None).unwrap();
    assert!(report.intact && report.end_checked, "{report}");
    let bytes: Vec<u64> = lines(&log(&folder)).iter().map(|line| line["bytes"].as_u64().unwrap()).collect();
    assert_eq!(bytes, (0..30).collect::<Vec<_>>());
    assert!(lines(&log(&folder)).iter().all(|line| line["endpoint_id"] == me().to_string()));
    let opens: Vec<_> = lines(&log(&folder)).iter().map(|line| line.get("opens").cloned()).collect();
    assert_eq!((&opens[0], opens[1..].iter().flatten().count()), (&Some("new".into()), 0));
}

/// L4: copied out while it is written and renamed, it is one chain from its first line on.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_renamed_meanwhile_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(&folder);
    let audit = Audit::open(settings(&path)).unwrap();
    write(&audit, 0..20).await;
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let reader = tokio::task::spawn_blocking({
        let (path, done) = (path.clone(), done.clone());
        move || {
            let mut copies = 0;
            while !done.load(Ordering::Acquire) || copies == 0 {
                assert!(exported(&path).0 >= 20);
                copies += 1;
            }
            copies
        }
    });
    for round in 1..=6 {
        for old in (1..round).rev() {
            let name = |number: u32| folder.path().join(format!("audit.jsonl.{number}"));
            fs::rename(name(old), name(old + 1)).unwrap();
        }
        fs::rename(&path, folder.path().join("audit.jsonl.1")).unwrap();
        write(&audit, 0..20).await;
    }
    done.store(true, Ordering::Release);
    println!("{} copies while it was renamed", reader.await.unwrap());
    assert_eq!(exported(&path), (140, Some(audit.head())));
}

/// Copies a log out and verifies the copy: how many lines it has, and its last one.
fn exported(path: &Path) -> (u64, Option<Head>) {
    let mut copy = Vec::new();
    export_log(path, &mut copy).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(log(&elsewhere), &copy).unwrap();
    let report = verify_log(&log(&elsewhere), None).unwrap();
    assert!(report.intact && report.first_seq == Some(1), "{report}");
    let last = copy.strip_suffix(b"\n").unwrap().rsplit(|byte| *byte == b'\n').next().unwrap();
    let last: Value = serde_json::from_slice(last).unwrap();
    let head = serde_json::from_value(serde_json::json!({ "seq": last["seq"], "hash": last["hash"] }));
    (report.lines, head.ok())
}

/// What is still being written has no end, and what was packed cannot be read elsewhere.
#[tokio::test]
async fn half_a_line_is_no_part_of_a_copy_and_a_packed_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(&folder);
    fs::write(&path, "{\"seq\":1}\n{\"se").unwrap();
    let mut copy = Vec::new();
    export_log(&path, &mut copy).unwrap();
    assert_eq!(copy, b"{\"seq\":1}\n");
    fs::write(folder.path().join("audit.jsonl.1.gz"), "").unwrap();
    let error = export_log(&path, &mut copy).unwrap_err().to_string();
    assert!(error.contains("audit.jsonl.1.gz is compressed: unpack it first"), "{error}");
}

#[tokio::test]
async fn a_log_in_use_is_refused_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Audit::open(settings(&log(&folder))).unwrap();
    let error = Audit::open(settings(&log(&folder))).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }) && error.to_string().contains("audit_log_path"), "{error}");
}

/// L4: renamed in the middle of writing, three times; no line is lost and the chain holds over the files.
#[tokio::test]
async fn rename_rotation_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(&folder);
    let audit = Audit::open(settings(&path)).unwrap();
    for round in 0..3 {
        let writing = write(&audit, round * 50..round * 50 + 50);
        let rotating = async {
            for old in [2, 1] {
                let name = |number: u32| folder.path().join(format!("audit.jsonl.{number}"));
                if name(old).exists() {
                    fs::rename(name(old), name(old + 1)).unwrap();
                }
            }
            fs::rename(&path, folder.path().join("audit.jsonl.1")).unwrap();
        };
        tokio::join!(writing, rotating);
        write(&audit, 0..1).await;
    }
    let report = verify_log(&path, Some(audit.head())).unwrap();
    assert!(report.intact, "{report}");
    assert_eq!((report.files.len(), report.lines, report.lost), (4, 153, 0), "{report}");
    let first: Value =
        serde_json::from_str(fs::read_to_string(&path).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(first["opens"], "rotated");
}

/// L4
#[tokio::test]
async fn a_log_rotated_while_we_were_down_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(&folder);
    let audit = Audit::open(settings(&path)).unwrap();
    write(&audit, 0..5).await;
    close(audit, &path).await;
    fs::rename(&path, folder.path().join("audit.jsonl.1")).unwrap();
    let audit = Audit::open(settings(&path)).unwrap();
    write(&audit, 5..7).await;
    let report = verify_log(&path, Some(audit.head())).unwrap();
    assert!(report.intact && report.lines == 7, "{report}");
    fs::remove_file(folder.path().join("audit.jsonl.1")).unwrap();
    let report = verify_log(&path, Some(audit.head())).unwrap();
    assert!(report.intact && report.first_seq == Some(6), "{report}");
}

/// L4: `copytruncate` cuts the file under us; the copy and what follows still make one chain.
#[tokio::test]
async fn copytruncate_is_noticed_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(&folder);
    let audit = Audit::open(settings(&path)).unwrap();
    write(&audit, 0..5).await;
    fs::copy(&path, folder.path().join("audit.jsonl.1")).unwrap();
    File::options().write(true).truncate(true).open(&path).unwrap();
    write(&audit, 5..8).await;
    let report = verify_log(&path, Some(audit.head())).unwrap();
    assert!(report.intact && report.lines == 8, "{report}");
    assert_eq!(lines(&path)[5]["opens"], "truncated");
}

#[tokio::test]
async fn lines_cut_off_while_we_were_down_are_still_missed_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(&folder);
    let audit = Audit::open(settings(&path)).unwrap();
    write(&audit, 0..9).await;
    close(audit, &path).await;
    let kept: String = fs::read_to_string(&path).unwrap().split_inclusive('\n').take(6).collect();
    fs::write(&path, kept).unwrap();
    let audit = Audit::open(settings(&path)).unwrap();
    write(&audit, 9..11).await;
    let report = verify_log(&path, Some(audit.head())).unwrap();
    let faults: Vec<_> =
        report.problems.iter().map(|problem| (problem.line, problem.fault.clone())).collect();
    assert_eq!(faults, [(7, Fault::Removed { from: 7, to: 9 })], "{report}");
}

#[tokio::test]
async fn a_line_torn_by_a_crash_is_cut_off_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(&folder);
    let audit = Audit::open(settings(&path)).unwrap();
    write(&audit, 0..3).await;
    close(audit, &path).await;
    let torn = fs::read_to_string(&path).unwrap() + "{\"seq\":4,\"timest";
    fs::write(&path, torn).unwrap();
    let audit = Audit::open(settings(&path)).unwrap();
    write(&audit, 3..4).await;
    let report = verify_log(&path, Some(audit.head())).unwrap();
    assert!(report.intact && report.lines == 4, "{report}");
}

/// L3: the disk fills up, sessions are denied when so configured, and everything comes back by itself.
#[tokio::test]
async fn a_full_disk_is_visible_and_heals_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = log(&folder);
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let deny = settings(&path);
    let metrics = deny.metrics.clone();
    let audit = Audit::open(deny).unwrap();
    assert!(!audit.denies(), "nothing has failed yet");
    write(&audit, 0..3).await;
    assert!(audit.failing() && audit.denies());
    let text = metrics.render().unwrap();
    assert!(
        text.contains("reflector_audit_failing 1\n") && text.contains("reflector_audit_lost_total 3\n"),
        "{text}"
    );

    fs::remove_file(&path).unwrap();
    write(&audit, 3..5).await;
    assert!(!audit.failing() && !audit.denies());
    let text = metrics.render().unwrap();
    assert!(
        text.contains("reflector_audit_failing 0\n") && text.contains("reflector_audit_lines_total 2\n"),
        "{text}"
    );
    let written = lines(&path);
    assert_eq!((written[0]["lost"].as_u64(), written[0]["bytes"].as_u64()), (Some(3), Some(3)));
    assert_eq!(written[1].get("lost"), None);
    assert_eq!(verify_log(&path, Some(audit.head())).unwrap().lost, 3);
}

/// L3
#[tokio::test]
async fn a_full_disk_denies_nothing_unless_configured() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", log(&folder)).unwrap();
    let audit = Audit::open(Settings { on_failure: OnFailure::Continue, ..settings(&log(&folder)) }).unwrap();
    write(&audit, 0..1).await;
    assert!(audit.failing() && !audit.denies());
}

/// L3: a real file that the kernel refuses to let grow, so that a line is written in part: in a child process, as
/// the limit holds for all of it. `trap '' XFSZ` turns the signal into an error.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tells the child from the parent")]
async fn a_line_the_kernel_wrote_in_part_is_taken_back() {
    const CHILD: &str = "REFLECTOR_TEST_FULL_LOG";
    if let Some(path) = std::env::var_os(CHILD) {
        return fill_up(Path::new(&path)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let this = "audit::handle::tests::a_line_the_kernel_wrote_in_part_is_taken_back";
    let script = format!("trap '' XFSZ; ulimit -f 8; exec \"$0\" --exact {this} --test-threads 1");
    let mut child = Command::new("sh");
    child.args(["-c", &script]).arg(std::env::current_exe().unwrap()).env(CHILD, log(&folder));
    let output = child.output().unwrap();
    let output = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.contains("1 passed"), "{output}");
    assert!(folder.path().join("audit.jsonl.1").exists(), "the child did something");
}

async fn fill_up(path: &Path) {
    let audit = Audit::open(settings(path)).unwrap();
    write(&audit, 0..100).await;
    assert!(audit.denies(), "100 lines do not fit");
    let full = fs::read_to_string(path).unwrap();
    assert!(full.ends_with("\"}\n") && full.len() > 3000, "only whole lines are left: {}", full.len());
    fs::rename(path, path.with_extension("jsonl.1")).unwrap();
    write(&audit, 100..102).await;
    assert!(!audit.denies());
    let report = verify_log(path, Some(audit.head())).unwrap();
    assert!(report.intact && report.lost + report.lines == 102, "{report}");
}

/// A sink with room for so many bytes, that blocks while it is told to.
struct TestSink {
    out: Arc<Mutex<Vec<u8>>>,
    room: Arc<AtomicUsize>,
    blocked: Arc<tokio::sync::Mutex<()>>,
}

impl Sink for TestSink {
    fn ready(&mut self) -> io::Result<Option<Opens>> {
        drop(self.blocked.blocking_lock());
        Ok(None)
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), Partial> {
        let room = self.room.load(Ordering::SeqCst).min(lines.len());
        let kept = lines[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.out.lock().unwrap().extend_from_slice(&lines[..kept]);
        self.room.fetch_sub(kept, Ordering::SeqCst);
        if kept == lines.len() {
            Ok(())
        } else {
            Err(Partial { kept, error: io::ErrorKind::StorageFull.into() })
        }
    }

    fn sync(&mut self, _head: Head) -> io::Result<()> {
        Ok(())
    }

    fn room(&mut self) -> io::Result<()> {
        let room = self.room.load(Ordering::SeqCst) > 0;
        if room { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
}

/// L3: an idle reflector would say for hours that it cannot write.
#[tokio::test]
async fn a_full_disk_that_has_room_again_is_noticed_while_nobody_asks() {
    let bench = Bench::new();
    bench.room.store(0, Ordering::SeqCst);
    write(&bench.audit, 0..2).await;
    assert!(bench.audit.denies());
    tokio::time::pause();
    let mut failing = bench.audit.follow_failing();
    let healed = async { failing.wait_for(|failing| !failing).await.map(|_| ()) };
    let still_full = tokio::time::timeout(10 * LOOK_AGAIN, bench.audit.look_for_room());
    assert!(still_full.await.is_err() && bench.audit.denies());
    bench.room.store(100_000, Ordering::SeqCst);
    tokio::select! {
        never = bench.audit.look_for_room() => match never {},
        healed = healed => healed.unwrap(),
    }
    tokio::time::resume();
    assert!(!bench.audit.denies());
    write(&bench.audit, 2..3).await;
    let text = String::from_utf8(bench.out.lock().unwrap().clone()).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["lost"].as_u64(), Some(2), "what was lost meanwhile is told");
}

struct Bench {
    audit: Audit,
    out: Arc<Mutex<Vec<u8>>>,
    room: Arc<AtomicUsize>,
    blocked: Arc<tokio::sync::Mutex<()>>,
}

impl Bench {
    fn new() -> Self {
        let (out, room, blocked) = (Arc::default(), Arc::new(AtomicUsize::new(usize::MAX)), Arc::default());
        let sink = TestSink { out: Arc::clone(&out), room: room.clone(), blocked: Arc::clone(&blocked) };
        let audit =
            Audit::start(sink, Head::GENESIS, Some(Opens::New), settings(Path::new("unused"))).unwrap();
        Self { audit, out, room, blocked }
    }

    fn links(&self) -> Vec<chain::Link> {
        let out = self.out.lock().unwrap();
        let lines = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| chain::open(line).unwrap()).collect()
    }
}

/// Part of a batch fits: those lines stand, the chain goes on behind them, the others are counted.
#[tokio::test]
async fn what_fits_of_a_batch_is_kept_and_the_rest_counted() {
    let bench = Bench::new();
    bench.room.store(1500, Ordering::SeqCst);
    let busy = bench.blocked.lock().await;
    for number in 0..20 {
        let recorded = bench.audit.record(event(number));
        tokio::time::timeout(PATIENCE, recorded).await.unwrap();
    }
    drop(busy);
    assert!(bench.audit.flush().await && bench.audit.failing());
    bench.room.store(usize::MAX / 2, Ordering::SeqCst);
    write(&bench.audit, 20..21).await;
    let links = bench.links();
    let lost: u64 = links.iter().map(|link| link.lost).sum();
    assert!(links.len() > 1 && lost > 0, "{links:?}");
    assert_eq!(lost + links.len() as u64, 21);
    assert!(links.windows(2).all(|pair| pair[1].prev == pair[0].hash && pair[1].seq == pair[0].seq + 1));
}

/// The clock is paused: whatever waits, waits for its deadline only.
#[tokio::test(start_paused = true)]
async fn a_stuck_disk_costs_callers_a_bounded_wait_and_is_counted() {
    let bench = Bench::new();
    let stuck = bench.blocked.lock().await;
    let before = tokio::time::Instant::now();
    let many = QUEUE + 100;
    for _ in 0..many {
        let at = tokio::time::Instant::now();
        bench.audit.record(event(1)).await;
        assert!(at.elapsed() <= RECORD_DEADLINE + Duration::from_millis(2));
    }
    assert!(bench.audit.denies(), "a log that takes no events is failing");
    assert!(before.elapsed() >= RECORD_DEADLINE, "the queue was never full");
    let at = tokio::time::Instant::now();
    assert!(!bench.audit.flush().await);
    assert!(at.elapsed() <= FLUSH_DEADLINE + Duration::from_millis(2));
    drop(stuck);
    tokio::time::resume();
    write(&bench.audit, 0..1).await;
    let links = bench.links();
    let lost: u64 = links.iter().map(|link| link.lost).sum();
    assert_eq!(lost + links.len() as u64, many as u64 + 1);
    assert!(!bench.audit.denies());
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_caller_is_cancelled_is_counted() {
    let bench = Bench::new();
    let stuck = bench.blocked.lock().await;
    let mut recorded = 0;
    let full = async {
        loop {
            bench.audit.record(event(1)).await;
            recorded += 1;
        }
    };
    tokio::time::timeout(RECORD_DEADLINE / 2, full).await.unwrap_err();
    drop(stuck);
    tokio::time::resume();
    write(&bench.audit, 0..1).await;
    assert_eq!(
        bench.links().iter().map(|link| link.lost).sum::<u64>(),
        1,
        "after {recorded} that were queued"
    );
}

/// L2: ten thousand strangers' denials make a hundred lines, and the log says how many there were.
#[tokio::test]
async fn a_flood_of_denials_is_counted_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(settings(&log(&folder))).unwrap();
    for number in 0..10_000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        audit.record_limited(denial([10, 0, high, low]));
        if number % 64 == 0 {
            audit.record(event(1)).await;
        }
    }
    assert!(audit.flush().await);
    let denied: Vec<Value> =
        lines(&log(&folder)).into_iter().filter(|line| line["event_type"] == "connection_denied").collect();
    let suppressed: u64 = denied.iter().filter_map(|line| line["suppressed"].as_u64()).sum();
    // The last line stands for nothing but the count; a minute that ends in the middle adds a hundred.
    assert!(denied.len() <= 201, "{}", denied.len());
    assert_eq!(suppressed + denied.len() as u64 - 1, 10_000);
}

/// A full disk while a flood runs: the count of the flood is not lost with the line that would have told it.
#[tokio::test]
async fn a_lost_line_hands_its_count_to_the_next_of_its_kind() {
    let bench = Bench::new();
    let flood = || (0..13).for_each(|_| bench.audit.record_limited(denial([192, 0, 2, 1])));
    flood();
    assert!(bench.audit.flush().await);
    bench.room.store(0, Ordering::SeqCst);
    flood();
    bench.audit.record(denial([192, 0, 2, 2])).await;
    assert!(bench.audit.flush().await && bench.audit.failing());
    bench.room.store(usize::MAX / 2, Ordering::SeqCst);
    bench.audit.record(denial([192, 0, 2, 3])).await;
    assert!(bench.audit.flush().await);
    let links = bench.links();
    let suppressed: u64 = links.iter().map(|link| link.suppressed).sum();
    assert_eq!(suppressed, 16, "{links:?}");
    assert!(links.iter().any(|link| link.lost > 0), "{links:?}");
}

#[tokio::test]
async fn lines_after_a_rotation_of_the_identity_carry_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(settings(&log(&folder))).unwrap();
    audit.record(Event::new(EventType::IdentityRotated)).await;
    let new = EndpointId::from_public_key([5; 32]);
    audit.set_endpoint_id(new);
    write(&audit, 0..1).await;
    let ids: Vec<Value> = lines(&log(&folder)).into_iter().map(|line| line["endpoint_id"].clone()).collect();
    assert_eq!(ids, [me().to_string(), new.to_string()]);
}

/// L4: what a container runtime collects from stdout is a whole chain of its own.
#[tokio::test]
async fn a_pipe_gets_every_line() {
    let (mut reader, writer) = io::pipe().unwrap();
    let sink = StreamSink::new(File::from(std::os::fd::OwnedFd::from(writer)));
    let audit = Audit::start(sink, Head::GENESIS, Some(Opens::New), settings(Path::new("unused"))).unwrap();
    write(&audit, 0..50).await;
    let head = audit.head();
    drop(audit);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(log(&folder), text).unwrap();
    let report = verify_log(&log(&folder), Some(head)).unwrap();
    assert!(report.intact && report.lines == 50, "{report}");
}

/// A sink with a bug.
struct Broken;

impl Sink for Broken {
    fn ready(&mut self) -> io::Result<Option<Opens>> {
        panic!("as the test asked")
    }

    fn append(&mut self, _lines: &[u8]) -> Result<(), Partial> {
        Ok(())
    }

    fn sync(&mut self, _head: Head) -> io::Result<()> {
        Ok(())
    }
}

/// The daemon ends the process then: it must not go on unrecorded.
#[tokio::test]
async fn a_writer_that_dies_is_noticed() {
    let audit = Audit::start(Broken, Head::GENESIS, Some(Opens::New), settings(Path::new("unused"))).unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), audit.ended()).await.is_err(), "it lives");
    audit.record(event(1)).await;
    tokio::time::timeout(PATIENCE, audit.ended()).await.unwrap();
}

/// What was logged while something ran, in words or in JSON, as `cli/logging` has it written.
fn logged(json: bool, run: impl FnOnce()) -> Vec<String> {
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let writer = kept.clone();
    let builder = tracing_subscriber::fmt().with_writer(move || writer.clone());
    if json {
        tracing::subscriber::with_default(builder.json().finish(), run);
    } else {
        tracing::subscriber::with_default(builder.with_ansi(false).finish(), run);
    }
    let kept = kept.0.lock().unwrap();
    String::from_utf8_lossy(&kept).lines().map(str::to_owned).collect()
}

/// What a stranger sent is in there, and starts no line of its own.
#[tokio::test]
async fn a_denial_stands_in_the_log_where_the_plugin_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(settings(&log(&folder))).unwrap();
    let hostile = "no\n2026-11-22T12:00:00Z  INFO denied: {}\u{1b}[2J";
    for json in [false, true] {
        let lines = logged(json, || {
            audit.record_now(Event {
                decision: Some(DENIED),
                reason: Some("suspended"),
                message: Some(hostile.to_owned()),
                ..denial([192, 0, 2, if json { 8 } else { 7 }])
            });
            audit.record_now(event(1));
        });
        let found: Vec<Denial> = lines.iter().filter_map(|line| Denial::on(line)).collect();
        assert_eq!((lines.len(), found.len()), (1, 1), "{lines:?}");
        assert_eq!((found[0].reason.as_str(), found[0].message.as_deref()), ("suspended", Some(hostile)));
    }
}

/// Even those that the audit log has to take whatever it costs.
#[tokio::test]
async fn a_flood_of_denials_fills_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(settings(&log(&folder))).unwrap();
    let told = |event: Event| Event { decision: Some(DENIED), reason: Some("busy"), ..event };
    let lines = logged(false, || {
        for number in 0..5_000_u32 {
            let [_, _, high, low] = number.to_be_bytes();
            audit.record_now(told(denial([10, 0, 0, 1])));
            audit.record_limited(told(denial([10, 1, high, low])));
        }
    });
    // A minute that ends in the middle adds a hundred.
    assert!((100..=200).contains(&lines.len()), "{}", lines.len());
}
