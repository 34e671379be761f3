//! `reflector status`: what the running server says about itself.

use std::fmt::Write;

use super::exit::Exit;
use super::output::{Answer, BAD, GOOD, Style, count, plain, pretty};
use crate::admin::protocol::{EndedTest, PairingStatus, PolicyStatus, Status};
use crate::config::duration;
use crate::link::message::Mode;

impl Answer for Status {
    fn json(&self) -> serde_json::Result<String> {
        pretty(self)
    }

    fn text(&self, style: Style) -> String {
        render_status(self, style)
    }

    fn exit(&self) -> Exit {
        if self.serving { Exit::Done } else { Exit::No }
    }
}

/// The status for people: the verdict first, then what is wrong, then the facts.
fn render_status(status: &Status, style: Style) -> String {
    let verdict = if status.serving { style.paint(GOOD, "serving") } else { style.paint(BAD, "not serving") };
    let mut out = format!("{verdict}\n");
    for problem in &status.problems {
        let _ = writeln!(out, "  {} {problem}", style.paint(BAD, "!"));
    }
    let uptime = duration::show(std::time::Duration::from_secs(status.uptime_sec));
    let facts = [
        ("endpoint id", status.endpoint_id.to_string()),
        ("version", format!("{}, up {uptime}", status.version)),
        ("listening", format!("{} (health {})", status.listen_address, status.health_address)),
        ("position", status.network_position.clone()),
        ("in use", in_use(status)),
        ("policy", policy(&status.policy)),
        ("pairing", status.pairing.as_ref().map_or_else(|| "closed".to_owned(), pairing)),
    ];
    let fact = |out: &mut String, name: &str, value: &str| {
        let _ = if style.aligned {
            writeln!(out, "{name:<12} {value}")
        } else {
            writeln!(out, "{name}\t{value}")
        };
    };
    for (name, value) in facts {
        fact(&mut out, name, &value);
    }
    for test in &status.running {
        let left = count(u32::try_from(test.remaining_sec).unwrap_or(u32::MAX), "second");
        let (what, whose) = (test.test_type.as_str(), test.endpoint_id.short());
        let value = format!("{} {what} of {whose}, {} bytes so far, {left} left", test.test_id, test.bytes);
        fact(&mut out, "running", &value);
    }
    for test in &status.last_tests {
        fact(&mut out, "ended", &ended(test));
    }
    for broken in &status.policy.broken {
        let _ =
            writeln!(out, "  {} {}: {}", style.paint(BAD, "!"), plain(&broken.name), plain(&broken.problem));
    }
    out
}

/// One line: which, whose, what, how long, how much, what held it.
fn ended(test: &EndedTest) -> String {
    let (what, whose) = (test.test_type.as_str(), plain(&test.peer));
    let seconds = std::time::Duration::from_millis(test.duration_ms).as_secs_f64();
    let mut out = format!(
        "{} {what} of {whose}: {} after {seconds:.1} s, {} bytes",
        test.test_id, test.end_reason, test.bytes
    );
    if let Some(mbps) = test.mbps {
        let _ = write!(out, ", {:.1} Mbit/s", mbps.value());
    }
    if test.mode == Mode::Tunneled {
        out.push_str(", tunneled");
    }
    if let Some(limit) = &test.limit {
        let _ = write!(out, ", limited by {limit}");
    }
    out
}

fn in_use(status: &Status) -> String {
    format!("{}, {}", count(status.connections, "connection"), count(status.active_tests, "test"))
}

fn policy(policy: &PolicyStatus) -> String {
    let mut out = format!("{}, {} authorized, {} refused", policy.state, policy.authorized, policy.refused);
    if !policy.broken.is_empty() {
        let _ = write!(out, ", {} broken", policy.broken.len());
    }
    if policy.foreign > 0 {
        let _ = write!(out, ", {} of other reflectors", policy.foreign);
    }
    out
}

fn pairing(pairing: &PairingStatus) -> String {
    let mut out = format!("open until {:.0}, {}", pairing.expires_at, count(pairing.wrong, "wrong code"));
    if let Some(since) = pairing.slowed_since {
        let _ = write!(out, ", one checked per 10 s since {since:.0}");
    }
    if !pairing.top_sources.is_empty() {
        let sources: Vec<String> =
            pairing.top_sources.iter().map(|(source, count)| format!("{source} ({count})")).collect();
        let _ = write!(out, ", mostly from {}", sources.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{PIPE, TERMINAL, status};

    #[test]
    fn a_serving_reflector_says_so_first_and_exits_0() {
        let status = status();
        assert_eq!(status.exit(), Exit::Done);
        assert_eq!(
            render_status(&status, PIPE),
            "serving
endpoint id\tPP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K
version\t0.1.0, up 61s
listening\t0.0.0.0:4000 (health 0.0.0.0:7301)
position\tlan
in use\t3 connections, 1 test
policy\tcurrent, 4 authorized, 2 refused
pairing\tclosed
"
        );
    }

    /// C3
    #[test]
    fn one_that_is_not_serving_names_its_problems_and_exits_2() {
        let mut status = status();
        status.serving = false;
        status.problems = vec!["the audit log cannot be written: free some space".to_owned()];
        status.policy.foreign = 5;
        status.policy.broken.push(crate::admin::protocol::BrokenObject {
            name: "attic.yaml".to_owned(),
            problem: "no kind".to_owned(),
        });
        status.pairing = Some(PairingStatus {
            expires_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            wrong: 7,
            slowed_since: Some("2026-01-02T03:00:00Z".parse().unwrap()),
            top_sources: vec![("192.0.2.1".to_owned(), 6)],
        });
        assert_eq!(status.exit(), Exit::No);
        let text = render_status(&status, TERMINAL);
        assert!(
            text.starts_with("\u{1b}[31mnot serving\u{1b}[0m\n  \u{1b}[31m!\u{1b}[0m the audit log"),
            "{text}"
        );
        assert!(
            text.contains("policy       current, 4 authorized, 2 refused, 1 broken, 5 of other reflectors\n")
        );
        assert!(text.contains(
            "pairing      open until 2026-01-02T03:04:05Z, 7 wrong codes, one checked per 10 s since \
             2026-01-02T03:00:00Z, mostly from 192.0.2.1 (6)\n"
        ));
        assert!(text.ends_with("! attic.yaml: no kind\n") || text.ends_with("attic.yaml: no kind\n"));
    }
}
