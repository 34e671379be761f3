//! Requests and limits of a container: kept as typed and handed on; Kubernetes reads them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::Typed;

/// A Kubernetes quantity as typed, such as `10m` or `24Mi`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceText(Typed);

impl ResourceText {
    /// Keeps a text.
    pub fn new(text: &str) -> Self {
        Self(Typed::text(text))
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
