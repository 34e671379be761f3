//! How fresh the policy is: whether anything was ever loaded, and how long its source has been away.
//!
//! Grace is counted on the clock that only runs forward, so no wall clock lengthens it.

use std::time::Duration;

/// Where the policy comes from, and since when it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nothing was ever loaded: nobody is known.
    NeverLoaded {
        /// What the feeder said.
        why: Option<String>,
    },
    /// The last load is what the source holds.
    Current,
    /// The source is away; the last accepted policy holds.
    Stale {
        /// Since when, milliseconds since boot.
        since_mono_ms: u64,
        /// What the feeder said.
        why: String,
    },
    /// Away for longer than the grace: nobody may do anything.
    GraceOver {
        /// What the feeder said.
        why: String,
    },
}

impl Source {
    /// Stable name, as in `reflector status`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NeverLoaded { .. } => "never_loaded",
            Self::Current => "current",
            Self::Stale { .. } => "stale",
            Self::GraceOver { .. } => "grace_over",
        }
    }

    /// What the feeder said when it went away.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::NeverLoaded { why } => why.as_deref(),
            Self::Current => None,
            Self::Stale { why, .. } | Self::GraceOver { why } => Some(why),
        }
    }

    /// The source went away. Repeating it neither restarts nor ends the grace.
    #[must_use]
    pub fn away(&self, mono_ms: u64, why: String) -> Self {
        match self {
            Self::NeverLoaded { .. } => Self::NeverLoaded { why: Some(why) },
            Self::Current => Self::Stale { since_mono_ms: mono_ms, why },
            Self::Stale { since_mono_ms, .. } => Self::Stale { since_mono_ms: *since_mono_ms, why },
            Self::GraceOver { .. } => Self::GraceOver { why },
        }
    }

    /// When the grace ends, milliseconds since boot.
    pub fn ends_at(&self, grace: Duration) -> Option<u64> {
        match self {
            Self::Stale { since_mono_ms, .. } => {
                Some(since_mono_ms.saturating_add(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)))
            }
            Self::NeverLoaded { .. } | Self::Current | Self::GraceOver { .. } => None,
        }
    }

    /// Time passes.
    #[must_use]
    pub fn tick(&self, mono_ms: u64, grace: Duration) -> Self {
        match self {
            Self::Stale { why, .. } if self.ends_at(grace).is_some_and(|end| mono_ms >= end) => {
                Self::GraceOver { why: why.clone() }
            }
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    #[test]
    fn the_grace_runs_from_the_first_absence_and_is_not_restarted() {
        let away = Source::Current.away(1_000, "gone".into()).away(50_000, "still gone".into());
        assert_eq!(away.tick(60_999, GRACE), away);
        assert_eq!(away.tick(61_000, GRACE).as_str(), "grace_over");
        assert_eq!(away.why(), Some("still gone"));
    }

    #[test]
    fn a_source_that_never_loaded_has_no_grace() {
        let never = Source::NeverLoaded { why: None }.away(5, "gone".into());
        assert_eq!(never.tick(u64::MAX, GRACE).as_str(), "never_loaded");
    }

    #[test]
    fn grace_over_stays_over_until_something_is_loaded() {
        let over = Source::Current.away(0, "gone".into()).tick(60_000, GRACE);
        assert_eq!(over.away(60_001, "again".into()).as_str(), "grace_over");
    }
}
