//! Replays every fuzz corpus on stable, so what fuzzing once found stays found.
//!
//! A new target needs a function in `fuzz/src/lib.rs`, a file in `fuzz/fuzz_targets`, a `[[bin]]`, a corpus and a line
//! in [`TARGETS`].
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

#[expect(unreachable_pub, reason = "public for the fuzz targets")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 9] = [
    ("frame", targets::frame),
    ("message", targets::message),
    ("endpoint_id", targets::endpoint_id),
    ("certificate", targets::certificate),
    ("config", targets::config),
    ("manifest", targets::manifest),
    ("echo_packet", targets::echo_packet),
    ("data_hello", targets::data_hello),
    ("iperf_control", targets::iperf_control),
];

fn fuzz(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(path)
}

fn stems(path: &str) -> BTreeSet<String> {
    let files = fs::read_dir(fuzz(path)).unwrap();
    files.map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_corpus_replays() {
    for (name, target) in TARGETS {
        let mut files: Vec<_> =
            fs::read_dir(fuzz(&format!("corpus/{name}"))).unwrap().map(|f| f.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "fuzz/corpus/{name} is empty");
        for file in files {
            // On a panic the file's name is the last line of the captured output.
            println!("{}", file.display());
            target(&fs::read(&file).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
    let manifest = fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    for name in names {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "[[bin]] {name} is missing"
        );
    }
}
