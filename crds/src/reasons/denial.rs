//! A denial as a reflector logs it and `kubectl reflector why` reads it back.
//!
//! The two programs share this form and nothing else. In: what was denied. Out: JSON on one line of the log, under a target
//! of its own. What is read may be anybody's: a line that is none is no denial, and its texts may hold anything.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::words::cut;
use super::{CodeReason, DenyReason, RefuseReason};

/// Longest message on a line: it may quote what a stranger sent. Test: `a_line_is_bounded_and_reads_back`.
const MAX_TEXT: usize = 512;

/// Why something was denied: a session, a connection or a pairing code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DenialReason {
    /// A session.
    Session(DenyReason),
    /// A connection, or something on it.
    Connection(RefuseReason),
    /// A pairing code.
    Code(CodeReason),
}

impl DenialReason {
    /// All of them, in the order of the reference.
    pub fn all() -> impl Iterator<Item = Self> {
        let sessions = DenyReason::ALL.iter().copied().map(Self::Session);
        let connections = RefuseReason::ALL.iter().copied().map(Self::Connection);
        sessions.chain(connections).chain(CodeReason::ALL.iter().copied().map(Self::Code))
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session(reason) => reason.as_str(),
            Self::Connection(reason) => reason.as_str(),
            Self::Code(reason) => reason.as_str(),
        }
    }

    /// What it means, in one line.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Session(reason) => reason.explanation(),
            Self::Connection(reason) => reason.explanation(),
            Self::Code(reason) => reason.explanation(),
        }
    }

    /// What to do in a cluster, in one line.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Session(reason) => reason.remedy(),
            Self::Connection(reason) => reason.remedy(),
            Self::Code(reason) => reason.remedy(),
        }
    }

    /// In what form the other side got it; nothing: its connection was closed without a word.
    pub const fn wire(self) -> Option<&'static str> {
        match self {
            Self::Session(_) => Some("session_deny"),
            Self::Connection(reason) => reason.wire(),
            Self::Code(_) => Some("pair_response"),
        }
    }
}

impl FromStr for DenialReason {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::all().find(|reason| reason.as_str() == text).ok_or(())
    }
}

/// One denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// When.
    pub at: Timestamp,
    /// `session_denied` or `connection_denied`, as in the audit log.
    pub event: String,
    /// The stable name; a newer reflector may have one that is not known here.
    pub reason: String,
    /// Name of the peer's object, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The other side, once its key is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<String>,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What exactly it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_sec: Option<u64>,
    /// Denials of this kind before it that were only counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suppressed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Denial {
    /// Under which target it stands in the log.
    pub const TARGET: &str = "denied";

    /// The same with a message that has a bound.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.message = self.message.map(|text| cut(&text, MAX_TEXT).to_owned());
        self
    }

    /// The denial on a line of a reflector's log, in words or in JSON; nothing when it is another line.
    pub fn on(line: &str) -> Option<Self> {
        if line.starts_with('{') {
            let line: Value = serde_json::from_str(line).ok()?;
            let said = line.get("target").and_then(Value::as_str) == Some(Self::TARGET);
            return said.then(|| serde_json::from_str(line.pointer("/fields/message")?.as_str()?).ok())?;
        }
        // Time, level, target: what a stranger sent comes later on a line, if at all.
        let (_, rest) = line.split_once(' ')?;
        let rest = rest.trim_start().strip_prefix("INFO ")?;
        serde_json::from_str(rest.strip_prefix(Self::TARGET)?.strip_prefix(": ")?).ok()
    }
}

/// As it stands in the log.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn denial(message: &str) -> Denial {
        Denial {
            at: "2026-11-22T11:58:00Z".parse().unwrap(),
            event: "session_denied".into(),
            reason: "rate_limited".into(),
            peer: Some("living-room".into()),
            endpoint_id: Some("PP-7777".into()),
            source: Some("192.0.2.7".into()),
            message: Some(message.into()),
            retry_after_sec: Some(30),
            suppressed: 0,
        }
    }

    fn logged(denial: &Denial) -> String {
        format!("2026-11-22T11:58:00.000123Z  INFO denied: {denial}")
    }

    /// A name that two tables have would be explained by the wrong one.
    #[test]
    fn every_reason_to_deny_has_one_name_an_explanation_and_a_remedy() {
        let names: BTreeSet<_> = DenialReason::all().map(DenialReason::as_str).collect();
        assert_eq!(names.len(), DenialReason::all().count());
        for reason in DenialReason::all() {
            let name = reason.as_str();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.parse(), Ok(reason));
            for words in [reason.explanation(), reason.remedy()] {
                assert!(
                    words.ends_with('.') && words.len() <= 220 && !words.contains('\n'),
                    "{name}: {words}"
                );
            }
        }
        assert_eq!("invented_later".parse::<DenialReason>(), Err(()));
    }

    #[test]
    fn serde_says_the_same_names() {
        for reason in DenyReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        for reason in RefuseReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn a_line_is_bounded_and_reads_back() {
        let hostile = denial(&format!("a\nb\u{1b}[2J\" INFO denied: {{}} {}", "ä".repeat(4_000))).bounded();
        let line = logged(&hostile);
        assert!(line.len() < 2_048 && !line.contains('\n') && !line.contains('\u{1b}'), "{line}");
        assert_eq!(Denial::on(&line), Some(hostile));
        let bare =
            Denial { peer: None, endpoint_id: None, message: None, retry_after_sec: None, ..denial("") };
        assert_eq!(Denial::on(&logged(&bare)), Some(bare));
    }

    #[test]
    fn a_log_in_json_has_the_same_denials() {
        let one = denial("wait 30 s");
        let line = json!({ "level": "INFO", "target": "denied", "fields": { "message": one.to_string() } });
        assert_eq!(Denial::on(&line.to_string()), Some(one.clone()));
        let other =
            json!({ "level": "INFO", "target": "reflector", "fields": { "message": one.to_string() } });
        assert_eq!(Denial::on(&other.to_string()), None);
    }

    #[test]
    fn other_lines_are_no_denials() {
        let quoted =
            format!("2026-11-22T11:58:00Z  WARN reflector: a peer said INFO denied: {}", denial("x"));
        for line in
            ["", "{", "{}", "INFO denied: {}", "t INFO denied: {\"at\":1}", "t INFO denied: nothing", &quoted]
        {
            assert_eq!(Denial::on(line), None, "{line}");
        }
    }
}
