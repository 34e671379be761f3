//! Closed stays closed for as long as was said, whatever the wall clock does meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Now;

use super::edge::closed_until;
use super::window::Window;

/// Remembers an edge on the clock that only runs forward. Pure.
#[derive(Debug)]
pub struct Latch {
    windows: Arc<[Window]>,
    closed: Option<Closed>,
}

#[derive(Debug, Clone, Copy)]
struct Closed {
    edge: Timestamp,
    until_mono_ms: u64,
}

impl Default for Latch {
    fn default() -> Self {
        Self { windows: Arc::new([]), closed: None }
    }
}

impl Latch {
    /// As [`closed_until`]; and once closed until an edge, a wall clock that jumps over it opens nothing before that much
    /// real time has passed. Other windows (somebody changed the policy) start afresh.
    pub fn closed_until(&mut self, windows: &Arc<[Window]>, now: Now) -> Option<Timestamp> {
        if !Arc::ptr_eq(windows, &self.windows) && **windows != *self.windows {
            self.closed = None;
        }
        self.windows = Arc::clone(windows);
        let held = self.closed.filter(|closed| closed.until_mono_ms > now.mono_ms);
        self.closed = match closed_until(now.wall, windows) {
            None => held,
            Some(edge) => {
                // Coming closer to an edge, or to an earlier one, by a jump is no shortcut.
                let until = now.mono_ms.saturating_add(millis_between(now.wall, edge));
                Some(Closed { edge, until_mono_ms: until.max(held.map_or(0, |held| held.until_mono_ms)) })
            }
        };
        let closed = self.closed?;
        let left = Duration::from_millis(closed.until_mono_ms.saturating_sub(now.mono_ms));
        let latched = now.wall.saturating_add(left).unwrap_or(closed.edge);
        Some(if closed.edge > now.wall { closed.edge.max(latched) } else { latched })
    }
}

fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
    // Rounded up: a part of a millisecond too early would open a moment before the edge.
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0).saturating_add(1)
}

/// One latch for all sessions of a reflector. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    latch: Arc<Mutex<Latch>>,
}

impl Gate {
    /// Until when tests are denied by the windows of a policy; `None`: they may run.
    pub fn closed_until(&self, windows: &Arc<[Window]>, now: Now) -> Option<Timestamp> {
        self.latch.lock().unwrap_or_else(PoisonError::into_inner).closed_until(windows, now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::Effect;
    use super::*;

    /// Denies 22:00 to 06:00.
    fn night() -> Arc<[Window]> {
        Arc::new([Window::new("0 22 * * *", Duration::from_secs(8 * 3600), None, Effect::Deny).unwrap()])
    }

    fn now(mono_secs: u64, wall: &str) -> Now {
        Now { mono_ms: mono_secs * 1000, wall: format!("2026-03-0{wall}Z").parse().unwrap() }
    }

    fn wait(latch: &mut Latch, windows: &Arc<[Window]>, now: Now) -> Option<i64> {
        latch.closed_until(windows, now).map(|at| at.duration_since(now.wall).as_secs())
    }

    /// G11
    #[test]
    fn a_jump_over_the_edge_opens_nothing_before_its_real_time() {
        let (mut latch, night) = (Latch::default(), night());
        assert_eq!(wait(&mut latch, &night, now(0, "1T23:00:00")), Some(7 * 3600));
        assert_eq!(wait(&mut latch, &night, now(60, "2T12:00:00")), Some(7 * 3600 - 60), "jumped to noon");
        assert_eq!(wait(&mut latch, &night, now(7 * 3600, "2T18:56:00")), Some(0), "one millisecond left");
        assert_eq!(wait(&mut latch, &night, now(7 * 3600 + 1, "2T18:56:01")), None);
    }

    #[test]
    fn a_jump_towards_the_edge_is_no_shortcut() {
        let (mut latch, night) = (Latch::default(), night());
        assert_eq!(wait(&mut latch, &night, now(0, "1T23:00:00")), Some(7 * 3600));
        assert_eq!(wait(&mut latch, &night, now(10, "2T05:59:50")), Some(7 * 3600 - 10));
        assert_eq!(wait(&mut latch, &night, now(30, "2T06:00:10")), Some(7 * 3600 - 30));
    }

    #[test]
    fn a_jump_into_another_window_is_no_shortcut_either() {
        let noon = Window::new("0 12 * * *", Duration::from_secs(600), None, Effect::Deny).unwrap();
        let (mut latch, both): (_, Arc<[Window]>) =
            (Latch::default(), night().iter().cloned().chain([noon]).collect());
        assert_eq!(wait(&mut latch, &both, now(0, "1T23:00:00")), Some(7 * 3600));
        assert_eq!(wait(&mut latch, &both, now(60, "2T12:05:00")), Some(7 * 3600 - 60));
        assert_eq!(wait(&mut latch, &both, now(3600, "2T13:04:00")), Some(6 * 3600));
    }

    #[test]
    fn a_clock_set_back_into_the_window_closes_again() {
        let (mut latch, night) = (Latch::default(), night());
        assert_eq!(wait(&mut latch, &night, now(0, "2T07:00:00")), None);
        assert_eq!(wait(&mut latch, &night, now(1, "2T05:00:00")), Some(3600));
    }

    #[test]
    fn without_jumps_the_latch_says_what_the_windows_say() {
        let (mut latch, night) = (Latch::default(), night());
        let start = now(0, "1T20:00:00");
        for minute in 0..2 * 1440 {
            let at = Now {
                mono_ms: minute * 60_000 + 10,
                wall: start.wall + Duration::from_millis(minute * 60_000 + 10),
            };
            let (said, meant) = (latch.closed_until(&night, at), closed_until(at.wall, &night));
            assert_eq!(said.is_some(), meant.is_some(), "{at:?}");
            if let (Some(said), Some(meant)) = (said, meant) {
                assert!(said.duration_since(meant).as_millis().abs() <= 1, "{said} {meant}");
            }
        }
    }

    #[test]
    fn a_changed_policy_starts_afresh() {
        let (mut latch, night) = (Latch::default(), night());
        assert!(wait(&mut latch, &night, now(0, "1T23:00:00")).is_some());
        assert_eq!(wait(&mut latch, &Vec::new().into(), now(1, "1T23:00:01")), None, "somebody opened it");
        let same: Arc<[Window]> = night.to_vec().into();
        assert!(wait(&mut latch, &night, now(2, "1T23:00:02")).is_some());
        assert!(
            wait(&mut latch, &same, now(3, "2T12:00:00")).is_some(),
            "the same windows read again change nothing"
        );
    }
}
