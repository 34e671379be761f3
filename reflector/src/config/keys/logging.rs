//! `[logging]`: what it writes down.

use super::Key;
use super::key::{key, or};
use crate::config::slot::Slot;

pub(super) static KEYS: &[Key] = &[
    key(
        "logging",
        "level",
        Slot::Filter(|d| &mut d.config.logging.level),
        r#""info""#,
        "What goes to standard error.",
    ),
    key("logging", "format", FORMAT, r#""text""#, "Lines for people, or one JSON object a line."),
    or(
        key(
            "logging",
            "audit_log_path",
            Slot::MaybePath(|d| &mut d.config.logging.audit_log_path),
            r#""/var/log/reflector/audit.jsonl""#,
            "The audit log. \"-\" is standard output.",
        ),
        "audit.jsonl beside the key",
    ),
    key(
        "logging",
        "audit_on_failure",
        ON_FAILURE,
        r#""continue""#,
        "What to do when the audit log cannot be written: continue, or deny new tests.",
    ),
];

const FORMAT: Slot = Slot::Choice(
    &["text", "json"],
    |d| usize::from(d.config.logging.json),
    |d, which| d.config.logging.json = which == 1,
);

const ON_FAILURE: Slot = Slot::Choice(
    &["continue", "deny"],
    |d| usize::from(d.config.logging.audit_deny_on_failure),
    |d, which| d.config.logging.audit_deny_on_failure = which == 1,
);
