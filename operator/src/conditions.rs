//! How conditions of every kind are dated and compared; `crds::reasons` words them. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::clock::Now;

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
