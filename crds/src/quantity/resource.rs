//! Requests and limits of a container: kept as typed and handed on; Kubernetes reads them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::Typed;

/// What a number may end with.
const SUFFIXES: [&str; 14] = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// A Kubernetes quantity as typed, such as `10m` or `24Mi`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceText(Typed);

impl ResourceText {
    /// Keeps a text.
    pub fn new(text: &str) -> Self {
        Self(Typed::text(text))
    }

    /// Whether Kubernetes reads it: digits, perhaps decimals, and a suffix.
    pub fn is_quantity(&self) -> bool {
        let text = self.as_str();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits(whole) && digits(decimals) && SUFFIXES.contains(&suffix) && !self.0.too_long()
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ResourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
