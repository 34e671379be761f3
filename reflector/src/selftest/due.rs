//! When the self-test is to run. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// A first run waits for what a start brings with it: appliances that come back, and other pods of the node.
/// Test: `the_first_run_is_soon_after_the_start_and_then_it_is_the_schedules_turn`.
pub(crate) const AFTER_START: Duration = Duration::from_secs(60);

/// When, as far as is known now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nobody asked for it.
    Never,
    /// After this long; zero: now.
    In(Duration),
}

/// When the next run of a process is due that started at `started` and ran it last at `last`. `schedule` is a cron
/// expression of five fields in UTC, which the validator has accepted; one that is none asks for nothing.
pub(crate) fn due(
    schedule: Option<&str>,
    started: Timestamp,
    last: Option<Timestamp>,
    now: Timestamp,
) -> Due {
    let Some(schedule) = schedule else { return Due::Never };
    let Ok(crontab) = cronexpr::parse_crontab(&format!("{} UTC", cronexpr::normalize_crontab(schedule)))
    else {
        return Due::Never;
    };
    let at = match last {
        // What another process found is of another host perhaps, or of another release.
        None => started.saturating_add(AFTER_START).ok(),
        Some(last) => crontab.find_next(cronexpr::MakeTimestamp(last)).ok().map(|at| at.timestamp()),
    };
    at.map_or(Due::Never, |at| Due::In(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const STARTED: &str = "2026-11-22T10:00:00Z";

    fn wait(schedule: Option<&str>, last: Option<&str>, now: &str) -> Option<u64> {
        match due(schedule, at(STARTED), last.map(at), at(now)) {
            Due::Never => None,
            Due::In(wait) => Some(wait.as_secs()),
        }
    }

    /// S3
    #[test]
    fn the_first_run_is_soon_after_the_start_and_then_it_is_the_schedules_turn() {
        let nightly = Some("0 4 * * *");
        assert_eq!(wait(nightly, None, STARTED), Some(60));
        assert_eq!(wait(nightly, None, "2026-11-22T10:05:00Z"), Some(0), "it waited for a test to end");
        let last = Some("2026-11-22T10:05:07Z");
        assert_eq!(wait(nightly, last, "2026-11-22T10:05:08Z"), Some(18 * 3600 - 5 * 60 - 8));
        assert_eq!(wait(nightly, last, "2026-11-23T04:00:00Z"), Some(0));
        assert_eq!(wait(nightly, last, "2026-11-25T12:00:00Z"), Some(0), "missed nights are one run");
        assert_eq!(wait(nightly, Some("2026-11-23T04:00:00Z"), "2026-11-23T04:00:09Z"), Some(86_400 - 9));
    }

    #[test]
    fn without_a_schedule_nothing_is_measured() {
        assert_eq!(wait(None, None, STARTED), None);
        assert_eq!(wait(None, Some(STARTED), "2026-12-22T10:00:00Z"), None);
        assert_eq!(wait(Some("now and then"), None, STARTED), None, "the validator refuses it before");
    }
}
