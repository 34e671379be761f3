//! Windows: cron expressions, time zones, durations.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::check::Check;
use crate::problem::shortened;

use super::super::valid::{MAX_WINDOW, ValidWindow};
use super::super::window::{WindowEffect, WindowSpec};

/// Every schedule has to begin at least once within four years of this moment (1 January 2024, a leap year).
const PROBE: Timestamp = Timestamp::constant(1_704_067_200, 0);

impl Check {
    pub(super) fn windows(&mut self, at: &str, windows: &[WindowSpec]) -> Vec<ValidWindow> {
        let mut valid = Vec::new();
        for (index, window) in windows.iter().enumerate() {
            let at = |field: &str| format!("{at}[{index}].{field}");
            let zone = window.time_zone.as_deref().unwrap_or("UTC");
            let known = TimeZone::get(zone).is_ok();
            if !known {
                let rule = "write an IANA name such as Europe/Paris, or UTC";
                self.problem(&at("timeZone"), format!("{:?} is not a time zone: {rule}", shortened(zone)));
            }
            self.cron(&at("schedule"), &window.schedule, if known { zone } else { "UTC" });
            let second = Duration::from_secs(1);
            let duration =
                self.duration(&at("duration"), window.duration.as_ref(), second, MAX_WINDOW, "1s to 7d");
            valid.push(ValidWindow {
                schedule: window.schedule.clone(),
                duration: duration.unwrap_or_default(),
                time_zone: zone.to_owned(),
                effect: window.effect.clone().unwrap_or(WindowEffect::Deny),
            });
        }
        valid
    }

    /// Five fields, in a time zone that exists, that begin at least once.
    pub(super) fn cron(&mut self, path: &str, schedule: &str, zone: &str) {
        let rule = "write five fields (minute, hour, day, month, weekday), such as \"0 22 * * *\"";
        let shown = shortened(schedule);
        if schedule.split_ascii_whitespace().count() != 5 {
            return self.problem(path, format!("{shown:?} is not a cron expression: {rule}"));
        }
        let parsed = cronexpr::parse_crontab(&format!("{} {zone}", cronexpr::normalize_crontab(schedule)));
        match parsed {
            Err(_) => self.problem(path, format!("{shown:?} is not a cron expression: {rule}")),
            Ok(cron) if cron.find_next(cronexpr::MakeTimestamp(PROBE)).is_err() => {
                self.problem(path, format!("{shown:?} never begins: write days that exist in their months"));
            }
            Ok(_) => {}
        }
    }
}
