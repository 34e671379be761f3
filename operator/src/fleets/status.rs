//! The status of a fleet. Pure: from what was decided and what came of it, also when a step failed.

use crds::Problem;
use crds::fleet::{FleetMember, MAX_MEMBERS, ReflectorFleet, ReflectorFleetStatus};
use crds::reasons::{ConditionType as Type, FleetReason as Reason, message};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::decide::Decision;
use super::rows::Row;
use crate::clock::Now;
use crate::conditions::{dated, same};

/// Names in a message: enough to begin with.
const SHOWN: usize = 5;

/// How far a reconcile came.
pub(super) enum Progress<'a> {
    /// Nobody has looked at it before.
    Begun,
    /// The spec cannot be done.
    Refused(&'a [Problem]),
    /// Something could not be read.
    Failed(&'a str),
    /// Something could not be written.
    Applied(&'a Decision, Option<&'a str>),
}

/// What is said about `Ready`.
struct Said {
    status: &'static str,
    reason: Reason,
    details: String,
    stalled: bool,
    reconciling: bool,
}

impl Said {
    fn not(reason: Reason, details: impl Into<String>) -> Self {
        Self { status: "False", reason, details: details.into(), stalled: false, reconciling: false }
    }
}

/// The status to write. All of it is ours.
pub(super) fn status(fleet: &ReflectorFleet, progress: &Progress<'_>, now: Now) -> ReflectorFleetStatus {
    let before = fleet.status.clone().unwrap_or_default();
    let counted = match progress {
        Progress::Applied(decision, _) => counts(decision),
        // What was granted to members is not taken from them because of a slip.
        _ => before.clone(),
    };
    ReflectorFleetStatus {
        observed_generation: fleet.metadata.generation,
        conditions: conditions(&said(progress), &before.conditions, fleet.metadata.generation, now),
        ..counted
    }
}

/// Whether a fleet says just this already.
pub(super) fn is_in(status: &ReflectorFleetStatus, fleet: &ReflectorFleet) -> bool {
    let there = fleet.status.clone().unwrap_or_default();
    let words = same(there.conditions.iter(), &status.conditions);
    words && ReflectorFleetStatus { conditions: status.conditions.clone(), ..there } == *status
}

fn counts(decision: &Decision) -> ReflectorFleetStatus {
    let number = |count: usize| i64::try_from(count).ok();
    let here = || decision.rows.iter().filter(|row| row.here);
    let ready = here().filter(|row| row.ready).count();
    let member = |row: &Row| FleetMember {
        reflector: row.name.clone(),
        node: row.node.clone(),
        endpoint_id: row.endpoint_id.clone(),
        ready: Some(row.ready),
    };
    ReflectorFleetStatus {
        desired: number(decision.desired),
        ready: number(ready),
        updated: number(here().filter(|row| row.updated).count()),
        unavailable: number(decision.desired.saturating_sub(ready)),
        members: decision.rows.iter().take(MAX_MEMBERS).map(member).collect(),
        ..ReflectorFleetStatus::default()
    }
}

fn said(progress: &Progress<'_>) -> Said {
    match progress {
        Progress::Begun => {
            Said { status: "Unknown", reconciling: true, ..Said::not(Reason::Progressing, "") }
        }
        Progress::Refused(problems) => {
            let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Said { stalled: true, ..Said::not(Reason::InvalidSpec, all.join("; ")) }
        }
        Progress::Failed(words) | Progress::Applied(_, Some(words)) => {
            Said { reconciling: true, ..Said::not(Reason::ApplyFailed, *words) }
        }
        Progress::Applied(decision, None) => applied(decision),
    }
}

/// The questions in their order; the first that is not answered with yes is the reason.
fn applied(decision: &Decision) -> Said {
    let here: Vec<&Row> = decision.rows.iter().filter(|row| row.here).collect();
    let serving = here.iter().filter(|row| row.ready).count();
    let count = format!("{serving} of {} are Ready", decision.desired);
    if let Some(total) = decision.too_many {
        let stay = decision.rows.len() - here.len();
        let stay = if stay == 0 { String::new() } else { format!(", {stay} of nodes that are gone") };
        let details = format!("there would be {total} members{stay}; none is added, {count}");
        return Said { stalled: true, ..Said::not(Reason::TooManyNodes, details) };
    }
    if !decision.taken.is_empty() {
        let details = format!("{}; {count}", listed(decision.taken.iter().map(String::as_str)));
        return Said { stalled: true, ..Said::not(Reason::NameTaken, details) };
    }
    if decision.desired == 0 {
        return Said::not(Reason::NoMatchingNodes, away(decision));
    }
    let names =
        |of: &dyn Fn(&Row) -> bool| listed(here.iter().filter(|row| of(row)).map(|row| row.name.as_str()));
    if here.iter().any(|row| row.in_rollout) {
        let updated = here.iter().filter(|row| row.updated).count();
        let down = names(&|row| row.updated && !row.ready);
        let waits = if down.is_empty() { String::new() } else { format!("; not Ready: {down}") };
        let details = format!("{updated} of {} are updated{waits}", decision.desired);
        return Said { reconciling: true, ..Said::not(Reason::RollingOut, details) };
    }
    if serving < decision.desired {
        let starts = here.iter().filter(|row| !row.ready).all(|row| row.starts);
        let details = format!("{count}; not Ready: {}", names(&|row| !row.ready));
        return Said { reconciling: starts, ..Said::not(Reason::MembersNotReady, details) };
    }
    Said { status: "True", ..Said::not(Reason::AllReady, away(decision)) }
}

/// Members that stay without a node.
fn away(decision: &Decision) -> String {
    let away: Vec<&str> = decision.rows.iter().filter(|row| !row.here).map(|row| row.name.as_str()).collect();
    if away.is_empty() {
        return String::new();
    }
    format!("Kept for nodes that are gone: {}", listed(away.into_iter()))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown = names.get(..SHOWN).unwrap_or(&names).join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

fn conditions(said: &Said, before: &[Condition], generation: Option<i64>, now: Now) -> Vec<Condition> {
    let Said { status, reason, details, stalled, reconciling } = said;
    let words = message(reason.explanation(), details, reason.remedy());
    [
        (Type::Ready, Some(*status)),
        (Type::Reconciling, reconciling.then_some("True")),
        (Type::Stalled, stalled.then_some("True")),
    ]
    .into_iter()
    .filter_map(|(type_, status)| {
        let names = [type_.as_str(), status?, reason.as_str()];
        Some(dated(names, words.clone(), before, generation, now))
    })
    .collect()
}
