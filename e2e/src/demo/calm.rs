//! Waiting where there is nothing to await: for a new day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::screen::Screen;

/// Longer than the demo takes: quotas go by UTC day, and one that began anew in the middle would contradict the story.
const ROOM: u64 = 180;
const DAY: u64 = 24 * 60 * 60;

/// Returns at once, except shortly before 00:00 UTC.
pub(super) async fn wait_for_a_day_to_begin(screen: &Screen) {
    #[expect(clippy::disallowed_methods, reason = "the one look at the wall clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(left) = too_late(now.as_secs()) {
        screen.say(&format!("The UTC day ends in {left} s and quotas with it; waiting until it has."));
        rest(Duration::from_secs(left)).await;
    }
}

/// What the calendar told us to wait.
#[expect(clippy::disallowed_methods, reason = "the wait itself is what was asked for")]
async fn rest(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Seconds to midnight when the demo would not be over by then.
fn too_late(unix_seconds: u64) -> Option<u64> {
    let left = DAY - unix_seconds % DAY;
    (left <= ROOM).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_never_runs_across_midnight() {
        assert_eq!(too_late(10 * DAY), None);
        assert_eq!(too_late(11 * DAY - ROOM - 1), None);
        assert_eq!(too_late(11 * DAY - ROOM), Some(ROOM));
        assert_eq!(too_late(11 * DAY - 1), Some(1));
    }
}
