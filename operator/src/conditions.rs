//! How conditions of every kind are worded, dated and compared. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::clock::Now;
use crate::writing::cut;

/// The API server refuses longer messages; and this one is read in a terminal.
const MAX_MESSAGE: usize = 1_024;
/// A remedy that needs no saying.
const NOTHING: &str = "Nothing to do.";

/// What it means, what exactly it is, and what to do.
pub(crate) fn message(explanation: &str, details: &str, remedy: &str) -> String {
    let remedy = Some(remedy).filter(|remedy| *remedy != NOTHING).unwrap_or_default();
    let details = details.trim_end_matches('.');
    let details = if details.is_empty() { String::new() } else { format!("{details}.") };
    let parts = [explanation, &details, remedy];
    let text: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    cut(&text.join(" "), MAX_MESSAGE)
}

/// One whose status did not change keeps its time.
pub(crate) fn dated(
    [type_, status, reason]: [&str; 3],
    message: String,
    before: &[Condition],
    generation: Option<i64>,
    now: Now,
) -> Condition {
    let same = before.iter().find(|old| old.type_ == type_ && old.status == status);
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: generation,
        last_transition_time: same.map_or(Time(now.wall), |old| old.last_transition_time.clone()),
    }
}

/// The same words, whatever the order and the time.
pub(crate) fn same<'a>(there: impl Iterator<Item = &'a Condition>, wanted: &[Condition]) -> bool {
    let there: Vec<&Condition> = there.collect();
    let says = |one: &Condition, other: &Condition| {
        one.type_ == other.type_
            && one.status == other.status
            && one.reason == other.reason
            && one.message == other.message
            && one.observed_generation == other.observed_generation
    };
    there.len() == wanted.len() && wanted.iter().all(|wanted| there.iter().any(|there| says(there, wanted)))
}
