//! One window: schedule, duration, time zone, effect.

use std::fmt;
use std::time::Duration;

use cronexpr::Crontab;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Longest window; a schedule that repeats weekly covers the rest.
pub const MAX_DURATION: Duration = Duration::from_secs(7 * 86_400);
/// Longest schedule, in bytes: five fields with lists fit many times.
pub const MAX_SCHEDULE: usize = 128;
/// Every schedule has to begin at least once within four years of this moment (1 January 2024, a leap year).
const PROBE: Timestamp = Timestamp::constant(1_704_067_200, 0);

/// What a window does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Tests are denied inside.
    Deny,
    /// Tests are denied outside every window of this effect.
    Allow,
}

/// Why something is not a window, by field, so a configuration can point at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// Not five cron fields.
    #[error(
        "schedule {0:?} is not a cron expression: write five fields (minute, hour, day, month, weekday), such as \"0 22 * * *\""
    )]
    Fields(String),
    /// One of the five is wrong.
    #[error(
        "schedule {schedule:?} is not a cron expression: {problem}; \"0 22 * * *\" is every day at 22:00"
    )]
    Schedule {
        /// As written.
        schedule: String,
        /// What the parser said.
        problem: String,
    },
    /// A day that does not exist.
    #[error("schedule {0:?} never begins: write days that exist in their months")]
    Never(String),
    /// No such time zone.
    #[error("time zone {0:?} is not known: write an IANA name such as Europe/Paris, or UTC")]
    TimeZone(String),
    /// Zero or too long.
    #[error("duration must be longer than 0s and at most 7d")]
    Duration,
}

/// A window that needs no further checks.
#[derive(Clone)]
pub struct Window {
    schedule: String,
    time_zone: String,
    crontab: Crontab,
    duration: SignedDuration,
    effect: Effect,
}

impl Window {
    /// Checks and builds. Without a time zone it is UTC.
    pub fn new(
        schedule: &str,
        duration: Duration,
        time_zone: Option<&str>,
        effect: Effect,
    ) -> Result<Self, WindowError> {
        let shown = || schedule.chars().take(MAX_SCHEDULE).collect::<String>();
        if schedule.len() > MAX_SCHEDULE || schedule.split_ascii_whitespace().count() != 5 {
            return Err(WindowError::Fields(shown()));
        }
        let time_zone = time_zone.unwrap_or("UTC");
        if TimeZone::get(time_zone).is_err() {
            return Err(WindowError::TimeZone(time_zone.chars().take(64).collect()));
        }
        if duration.is_zero() || duration > MAX_DURATION {
            return Err(WindowError::Duration);
        }
        let crontab =
            cronexpr::parse_crontab(&format!("{} {time_zone}", cronexpr::normalize_crontab(schedule)))
                .map_err(|e| WindowError::Schedule {
                    schedule: shown(),
                    problem: one_line(&e.to_string()),
                })?;
        let window = Self {
            schedule: schedule.to_owned(),
            time_zone: time_zone.to_owned(),
            crontab,
            duration: SignedDuration::try_from(duration).map_err(|_| WindowError::Duration)?,
            effect,
        };
        if window.next_start(PROBE).is_none() {
            return Err(WindowError::Never(shown()));
        }
        Ok(window)
    }

    /// What it does.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// How long it lasts.
    pub(super) fn duration(&self) -> SignedDuration {
        self.duration
    }

    /// The first beginning after a moment. `None`: none within four years.
    pub(super) fn next_start(&self, after: Timestamp) -> Option<Timestamp> {
        self.crontab.find_next(cronexpr::MakeTimestamp(after)).ok().map(|at| at.timestamp())
    }
}

/// The parser draws its errors over several lines; the last one says it.
fn one_line(problem: &str) -> String {
    let words: Vec<&str> =
        problem.lines().map(|l| l.trim_matches([' ', '^', '-', '|'])).filter(|l| !l.is_empty()).collect();
    words.last().copied().unwrap_or_default().chars().take(200).collect()
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        let texts = |w: &Self| (w.schedule.clone(), w.time_zone.clone(), w.duration, w.effect);
        texts(self) == texts(other)
    }
}

impl Eq for Window {}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedule, time_zone, duration, effect, .. } = self;
        write!(f, "Window({effect:?} {schedule:?} {time_zone} for {duration:#})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn wrong_windows_say_what_to_write() {
        let new = |schedule: &str, zone, duration| {
            Window::new(schedule, duration, zone, Effect::Deny).map_err(|e| e.to_string())
        };
        for (result, says) in [
            (new("0 22 * *", None, HOUR), "five fields"),
            (new("0 22 * * * Europe/Paris", None, HOUR), "five fields"),
            (new(&"1,".repeat(100), None, HOUR), "five fields"),
            (new("0 25 * * *", None, HOUR), "0..=23; found 25"),
            (new("H 2 * * *", None, HOUR), "not a cron expression: "),
            (new("0 0 30 2 *", None, HOUR), "never begins"),
            (new("0 22 * * *", Some("Paris"), HOUR), "IANA name such as Europe/Paris"),
            (new("0 22 * * *", None, Duration::ZERO), "longer than 0s"),
            (new("0 22 * * *", None, MAX_DURATION + Duration::from_secs(1)), "at most 7d"),
        ] {
            let message = result.unwrap_err();
            assert!(message.contains(says) && !message.contains('\n'), "{message}");
        }
        assert!(new("0 0 29 2 *", Some("europe/paris"), MAX_DURATION).is_ok(), "a leap day is a day");
    }

    #[test]
    fn an_empty_container_knows_every_time_zone() {
        let bundled = jiff::tz::TimeZoneDatabase::bundled();
        assert!(bundled.get("Europe/Paris").is_ok() && bundled.get("America/Sao_Paulo").is_ok());
    }

    #[test]
    fn windows_are_equal_when_they_are_written_alike() {
        let window =
            |minute: u8| Window::new(&format!("{minute} 2 * * *"), HOUR, None, Effect::Deny).unwrap();
        assert_eq!(window(1), window(1));
        assert_ne!(window(1), window(2));
    }
}
