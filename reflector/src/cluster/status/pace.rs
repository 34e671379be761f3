//! How often numbers of one subject are written at most. Pure but for [`from_environment`].

use std::time::Duration;

/// Numbers for people: nobody reads them faster, and ten thousand peers write them.
pub const NUMBERS_EVERY: Duration = Duration::from_secs(60);
/// Never more often, whatever the variable says. Test: `the_variable_only_shortens_and_never_below_a_second`.
pub const AT_LEAST: Duration = Duration::from_secs(1);

/// Whole seconds, for scenarios that would wait for a minute. Nothing of ours sets it, and no document names it.
const VARIABLE: &str = "REFLECTOR_STATUS_NUMBERS_SECONDS";

/// What the variable says, or the default. A wish for less than the default is logged.
#[expect(clippy::disallowed_methods, reason = "the one place that reads this variable")]
pub fn from_environment() -> Duration {
    let every = every(std::env::var(VARIABLE).ok().as_deref());
    if every < NUMBERS_EVERY {
        tracing::warn!(
            seconds = every.as_secs(),
            "{VARIABLE} is set: status is written more often than is good"
        );
    }
    every
}

/// What is no number of seconds is as if it were not there.
fn every(said: Option<&str>) -> Duration {
    let seconds = said.and_then(|text| text.trim().parse().ok());
    seconds.map_or(NUMBERS_EVERY, Duration::from_secs).clamp(AT_LEAST, NUMBERS_EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_once_a_minute_unless_somebody_says_otherwise() {
        assert_eq!(every(None), Duration::from_secs(60));
        for nonsense in ["", "-1", "1.5", "1s", "soon", "99999999999999999999999"] {
            assert_eq!(every(Some(nonsense)), NUMBERS_EVERY, "{nonsense}");
        }
    }

    #[test]
    fn the_variable_only_shortens_and_never_below_a_second() {
        let said = ["0", "1", " 2 ", "59", "60", "61", "86400"].map(|text| every(Some(text)).as_secs());
        assert_eq!(said, [1, 1, 2, 59, 60, 60, 60]);
    }
}
