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
        /// Grace that was used before: by the process before this one, when the policy comes from its disk.
        spent: Duration,
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

    /// Whether what is in force is what the source holds, or was so not longer than `patience` ago.
    pub fn is_fresh(&self, mono_ms: u64, patience: Duration) -> bool {
        self.away_for(mono_ms).is_some_and(|away| away < patience || away.is_zero())
    }

    /// The source went away. Repeating it neither restarts nor ends the grace.
    #[must_use]
    pub fn away(&self, mono_ms: u64, why: String) -> Self {
        match self {
            Self::NeverLoaded { .. } => Self::NeverLoaded { why: Some(why) },
            Self::Current => Self::Stale { since_mono_ms: mono_ms, spent: Duration::ZERO, why },
            Self::Stale { since_mono_ms, spent, .. } => {
                Self::Stale { since_mono_ms: *since_mono_ms, spent: *spent, why }
            }
            Self::GraceOver { .. } => Self::GraceOver { why },
        }
    }

    /// When the grace ends, milliseconds since boot.
    pub fn ends_at(&self, grace: Duration) -> Option<u64> {
        match self {
            Self::Stale { since_mono_ms, spent, .. } => {
                let left = grace.saturating_sub(*spent);
                Some(since_mono_ms.saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
            }
            Self::NeverLoaded { .. } | Self::Current | Self::GraceOver { .. } => None,
        }
    }

    /// How long it has been away. `None`: nothing was ever loaded.
    pub fn away_for(&self, mono_ms: u64) -> Option<Duration> {
        match self {
            Self::NeverLoaded { .. } => None,
            Self::Current => Some(Duration::ZERO),
            Self::Stale { since_mono_ms, spent, .. } => {
                Some(spent.saturating_add(Duration::from_millis(mono_ms.saturating_sub(*since_mono_ms))))
            }
            Self::GraceOver { .. } => Some(Duration::MAX),
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
    fn grace_that_was_used_before_is_not_given_again() {
        let spent = Duration::from_secs(45);
        let stale =
            Source::Stale { since_mono_ms: 1_000, spent, why: "gone".into() }.away(9_000, "still".into());
        assert_eq!(stale.away_for(6_000), Some(Duration::from_secs(50)));
        assert_eq!(stale.tick(15_999, GRACE), stale);
        assert_eq!(stale.tick(16_000, GRACE).as_str(), "grace_over");
        let over = Source::Stale { since_mono_ms: 7, spent: Duration::MAX, why: String::new() };
        assert_eq!(over.tick(7, GRACE).as_str(), "grace_over");
    }

    /// H1
    #[test]
    fn only_a_source_that_was_there_within_the_patience_is_fresh() {
        let fresh = |source: &Source, mono_ms| source.is_fresh(mono_ms, GRACE);
        let away = Source::Current.away(1_000, "gone".into());
        assert!(fresh(&Source::Current, 0));
        assert!(fresh(&away, 60_999) && !fresh(&away, 61_000));
        assert!(!fresh(&Source::NeverLoaded { why: None }, 0));
        assert!(!fresh(&Source::GraceOver { why: "gone".into() }, 0));
        let restored = Source::Stale { since_mono_ms: 1_000, spent: GRACE, why: "not yet".into() };
        assert!(!fresh(&restored, 1_000), "it was away before this process began");
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
