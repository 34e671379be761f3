//! What is written in each of some minutes, and how that is told.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

use super::scene::Scene;
use super::spread::Row;
use super::tally::Tally;

const MINUTE: Duration = Duration::from_secs(60);

/// What came in one minute.
pub(super) struct Minute {
    /// To our kinds, by anybody.
    ours: Tally,
    /// Of any kind, by the operator and the pods.
    accounts: Tally,
}

/// Waits for so many minutes, and says what came in each.
pub(super) async fn by_minute(scene: &Scene, minutes: u16) -> Result<Vec<Minute>> {
    let look = async || {
        let (ours, accounts) = scene.tallies().await?;
        anyhow::Ok(Minute { ours, accounts })
    };
    let mut tick = interval(MINUTE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.tick().await;
    let (mut all, mut before) = (Vec::new(), look().await?);
    for number in 1..=minutes {
        tick.tick().await;
        let now = look().await?;
        let minute =
            Minute { ours: now.ours.since(&before.ours), accounts: now.accounts.since(&before.accounts) };
        anstream::eprintln!(
            "minute {number} of {minutes}: {} writes to our kinds, {} of the operator and the pods",
            minute.ours.total(),
            minute.accounts.total()
        );
        all.push(minute);
        before = now;
    }
    Ok(all)
}

/// A row for each sum, and for each of its parts.
pub(super) fn rows(when: &str, minutes: &[Minute]) -> Vec<Row> {
    let row = |what: String, value: &dyn Fn(&Minute) -> f64| {
        Row::new(what, "a minute", minutes.iter().map(value).collect())
    };
    let mut rows = vec![row(format!("{when}: writes to our kinds, by anybody"), &|one| one.ours.total())];
    for kind in names(minutes, |one| &one.ours) {
        rows.push(row(format!("of them to `{kind}`"), &|one| one.ours.of(kind)));
    }
    let all = format!("{when}: writes to any kind, by the operator and the pods");
    rows.push(row(all, &|one| one.accounts.total()));
    for one in names(minutes, |one| &one.accounts) {
        rows.push(row(format!("of them by {one}"), &|minute| minute.accounts.of(one)));
    }
    rows
}

/// In any of the minutes.
fn names(minutes: &[Minute], of: fn(&Minute) -> &Tally) -> Vec<&str> {
    let mut names: Vec<&str> = minutes.iter().flat_map(|minute| of(minute).names()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_was_not_written_in_a_minute_counts_as_none_there() {
        let line = "{\"verb\":\"patch\",\"user\":{\"username\":\"system:serviceaccount:a:b\"},\
                    \"objectRef\":{\"resource\":\"events\"},\"responseStatus\":{\"code\":200}}\n";
        let minute = |log: &str| Minute { ours: Tally::default(), accounts: Tally::of_log(log, "a", "") };
        let rows: Vec<String> =
            rows("calm", &[minute(line), minute("")]).iter().map(ToString::to_string).collect();
        assert_eq!(
            rows,
            [
                "| calm: writes to our kinds, by anybody | a minute | 2 | 0 | **0** | 0 | 0 |",
                "| calm: writes to any kind, by the operator and the pods | a minute | 2 | 0 | **0** | 1.00 | 1.00 |",
                "| of them by the operator: events | a minute | 2 | 0 | **0** | 1.00 | 1.00 |",
            ]
        );
    }
}
