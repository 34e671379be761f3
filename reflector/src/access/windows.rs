//! Windows: cron-scheduled times in which tests are denied, or outside of which they are. (Skeleton.)

/// One window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {}
