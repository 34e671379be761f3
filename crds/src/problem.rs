//! A field that cannot stay as it is, for whoever wrote it.

use std::fmt;

/// A field that cannot stay as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as one would pass it to `kubectl explain`: `spec.quotas.maxStreams`. Empty for the whole object.
    pub path: String,
    /// What is wrong and what to write. Bounded, whatever the field held.
    pub message: String,
}

/// Longest message of a problem, in characters: it stands in status and logs, and may quote what was typed.
const MAX_MESSAGE: usize = 300;

impl Problem {
    pub(crate) fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        let message = message.to_string();
        let mut short: String = message.chars().take(MAX_MESSAGE).collect();
        if short.len() < message.len() {
            short.push('…');
        }
        Self { path: path.into(), message: short }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{} {}", self.path, self.message)
        }
    }
}

/// Enough of a text to recognise it.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
