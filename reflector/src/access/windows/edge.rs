//! When tests may run again. Pure; the search is bounded and errs on the closed side.

use jiff::{SignedDuration, Timestamp};

use super::window::{Effect, Window};

/// Windows that join end to end are followed this often; then tests stay denied until the edge reached so far, where the
/// next question goes on.
const MAX_STEPS: usize = 64;
/// Said when no opening is known at all.
const FAR: SignedDuration = SignedDuration::from_hours(24);
/// Schedules begin on whole minutes, so no shorter look back finds more.
const FIRST_LOOK_BACK: SignedDuration = SignedDuration::from_secs(60);

/// `None` while tests may run; else the first moment they may again: behind every overlapping `Deny` window, and inside
/// an `Allow` window if there are any.
pub fn closed_until(now: Timestamp, windows: &[Window]) -> Option<Timestamp> {
    let mut edge = now;
    for _ in 0..MAX_STEPS {
        match later_edge(edge, windows) {
            None => break,
            Some(later) => edge = later,
        }
    }
    (edge > now).then_some(edge)
}

/// A later moment before which tests are denied, if they are denied now.
fn later_edge(at: Timestamp, windows: &[Window]) -> Option<Timestamp> {
    let of = |effect| windows.iter().filter(move |w| w.effect() == effect);
    if let Some(end) = of(Effect::Deny).filter_map(|w| end_of_cover(w, at)).max() {
        return Some(end);
    }
    let outside =
        of(Effect::Allow).next().is_some() && of(Effect::Allow).all(|w| end_of_cover(w, at).is_none());
    outside.then(|| of(Effect::Allow).filter_map(|w| w.next_start(at)).min().unwrap_or_else(|| plus(at, FAR)))
}

/// The end of an occurrence that covers this moment; of overlapping ones a late one.
fn end_of_cover(window: &Window, at: Timestamp) -> Option<Timestamp> {
    // An occurrence covers `at` exactly when it began after `at - duration` and not after `at`.
    let start_within = |back: SignedDuration| window.next_start(plus(at, -back)).filter(|start| *start <= at);
    let longest = window.duration();
    let early = start_within(longest)?;
    let mut back = FIRST_LOOK_BACK;
    while back < longest {
        if let Some(late) = start_within(back) {
            return Some(plus(late, longest));
        }
        back = back.saturating_add(back);
    }
    Some(plus(early, longest))
}

fn plus(at: Timestamp, by: SignedDuration) -> Timestamp {
    // Saturates at the ends of time; cannot fail for a plain number of seconds.
    at.saturating_add(by).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn window(schedule: &str, minutes: u64, zone: &str, effect: Effect) -> Window {
        Window::new(schedule, Duration::from_secs(minutes * 60), Some(zone), effect).unwrap()
    }

    fn deny(schedule: &str, minutes: u64) -> Window {
        window(schedule, minutes, "UTC", Effect::Deny)
    }

    fn allow(schedule: &str, minutes: u64) -> Window {
        window(schedule, minutes, "UTC", Effect::Allow)
    }

    fn edge(now: &str, windows: &[Window]) -> Option<String> {
        closed_until(now.parse().unwrap(), windows).map(|at| at.to_string())
    }

    /// G11
    #[test]
    fn inside_a_deny_window_the_edge_is_its_end() {
        let night = [deny("0 22 * * *", 480)];
        for (now, expected) in [
            ("2026-03-01T21:59:59Z", None),
            ("2026-03-01T22:00:00Z", Some("2026-03-02T06:00:00Z")),
            ("2026-03-02T05:59:59.999Z", Some("2026-03-02T06:00:00Z")),
            ("2026-03-02T06:00:00Z", None),
        ] {
            assert_eq!(edge(now, &night).as_deref(), expected, "{now}");
        }
    }

    /// G11
    #[test]
    fn outside_every_allow_window_the_edge_is_the_next_opening() {
        let hours = [allow("0 8 * * MON-FRI", 600), allow("0 12 * * SAT", 60)];
        for (now, expected) in [
            ("2026-03-06T12:00:00Z", None),
            ("2026-03-06T18:00:00Z", Some("2026-03-07T12:00:00Z")),
            ("2026-03-07T12:30:00Z", None),
            ("2026-03-07T13:00:00Z", Some("2026-03-09T08:00:00Z")),
        ] {
            assert_eq!(edge(now, &hours).as_deref(), expected, "{now}");
        }
    }

    #[test]
    fn overlapping_windows_open_at_the_first_open_moment() {
        let joined = [deny("0 22 * * *", 120), deny("30 23 * * *", 60), deny("30 0 * * *", 30)];
        assert_eq!(edge("2026-03-01T22:10:00Z", &joined).as_deref(), Some("2026-03-02T01:00:00Z"));
        let both = [allow("0 8 * * *", 60), deny("0 8 * * *", 30)];
        assert_eq!(edge("2026-03-01T07:00:00Z", &both).as_deref(), Some("2026-03-01T08:30:00Z"));
        let repeated = [deny("* 8 * * *", 10)];
        assert_eq!(edge("2026-03-01T08:00:30Z", &repeated).as_deref(), Some("2026-03-01T09:09:00Z"));
    }

    #[test]
    fn windows_that_never_open_stay_closed_and_are_answered_at_once() {
        let always = [deny("* * * * *", 7 * 1440)];
        let now: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        assert!(closed_until(now, &always).unwrap() > plus(now, SignedDuration::from_hours(24)));
        let contradiction = [allow("0 8 * * *", 60), deny("0 8 * * *", 60)];
        assert!(closed_until(now, &contradiction).unwrap() > plus(now, SignedDuration::from_hours(24)));
    }

    #[test]
    fn windows_follow_their_time_zone_over_a_clock_change() {
        let paris = [window("0 22 * * *", 480, "Europe/Paris", Effect::Deny)];
        assert_eq!(edge("2026-03-27T21:30:00Z", &paris).as_deref(), Some("2026-03-28T05:00:00Z"), "winter");
        assert_eq!(edge("2026-03-29T20:30:00Z", &paris).as_deref(), Some("2026-03-30T04:00:00Z"), "summer");
    }

    #[test]
    fn without_windows_everything_is_open() {
        assert_eq!(edge("2026-03-01T08:00:00Z", &[]), None);
    }

    #[derive(Debug, Clone)]
    struct Plain {
        hour: u8,
        minute: u8,
        minutes: i64,
        effect: Effect,
    }

    /// The same said by counting minutes of a day: a daily window covers minute m when it began today or yesterday.
    fn is_closed(windows: &[Plain], minute: i64) -> bool {
        let covers = |w: &Plain| {
            let start = i64::from(w.hour) * 60 + i64::from(w.minute);
            (-3..=3).any(|days| (0..w.minutes).contains(&(minute - start + days * 1440)))
        };
        let denied = windows.iter().any(|w| w.effect == Effect::Deny && covers(w));
        let mut allows = windows.iter().filter(|w| w.effect == Effect::Allow).peekable();
        denied || (allows.peek().is_some() && !allows.any(covers))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// For all daily windows: the edge is open, and every minute before it is closed.
        #[test]
        fn the_edge_is_the_first_open_minute(
            plain in prop::collection::vec(
                (0u8..24, 0u8..60, 1i64..1000, any::<bool>()).prop_map(|(hour, minute, minutes, deny)| Plain {
                    hour, minute, minutes, effect: if deny { Effect::Deny } else { Effect::Allow }
                }), 0..4),
            minute in 0i64..1440,
        ) {
            let windows: Vec<Window> = plain
                .iter()
                .map(|p| {
                    let schedule = format!("{} {} * * *", p.minute, p.hour);
                    window(&schedule, p.minutes.unsigned_abs(), "UTC", p.effect)
                })
                .collect();
            let day: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
            let found = closed_until(plus(day, SignedDuration::from_mins(minute)), &windows);
            let found = found.map(|at| at.duration_since(day).as_mins());
            let first_open = (minute..minute + 2 * 1440).find(|m| !is_closed(&plain, *m));
            match (found, first_open) {
                (None, Some(open)) => prop_assert_eq!(open, minute),
                (Some(edge), Some(open)) => prop_assert_eq!(edge, open),
                (Some(edge), None) => prop_assert!(edge >= minute + 1440, "never open, answered {edge}"),
                (None, None) => prop_assert!(false, "open, but every minute is closed"),
            }
        }
    }
}
