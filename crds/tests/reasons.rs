//! `docs/reference/objects.md` has the reasons and the ports of the code.

use std::fmt::Write as _;
use std::path::PathBuf;

use crds::reasons::{FleetReason, PeerReason, ReflectorReason};
use crds::reflector::ports;

const HEAD: &str = "# Objects: reasons and ports

Made by `UPDATE_GOLDEN=1 cargo test -p crds --test reasons`. Fields are explained where they are used: `kubectl explain reflector.spec`,
`kubectl explain reflectorpeer.spec`, `kubectl explain reflectorfleet.spec`. The definitions are in `crds/yaml`.

A condition's `reason` is one of these. Names keep their meaning; new ones may come.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut table = |title: &str, rows: Vec<[&str; 3]>| {
        let _ = write!(page, "\n## {title}\n\n| reason | what it means | what to do |\n|---|---|---|\n");
        for [reason, means, remedy] in rows {
            let _ = writeln!(page, "| `{reason}` | {means} | {remedy} |");
        }
    };
    table(
        "Reflector",
        ReflectorReason::ALL.iter().map(|r| [r.as_str(), r.explanation(), r.remedy()]).collect(),
    );
    table(
        "ReflectorPeer",
        PeerReason::ALL.iter().map(|r| [r.as_str(), r.explanation(), r.remedy()]).collect(),
    );
    table(
        "ReflectorFleet",
        FleetReason::ALL.iter().map(|r| [r.as_str(), r.explanation(), r.remedy()]).collect(),
    );
    page.push_str("\n## Ports a Reflector cannot have\n\n| ports | whose they are |\n|---|---|\n");
    for taken in ports::TAKEN {
        let (first, last) = (taken.ports.start(), taken.ports.end());
        let which = if first == last { first.to_string() } else { format!("{first}-{last}") };
        let _ = writeln!(page, "| {which} | {} |", taken.by);
    }
    page
}

#[test]
fn the_page_of_reasons_and_ports_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/objects.md");
    if update() {
        std::fs::write(&path, page()).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == page(),
        "docs/reference/objects.md is not what the code says: UPDATE_GOLDEN=1 cargo test -p crds --test reasons"
    );
}

#[expect(clippy::disallowed_methods, reason = "whoever runs the test says whether to write")]
fn update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}
