//! A member as it is seen: what it says of itself, and what may be believed of that. Pure.

use crds::reflector::Reflector;
use kube::ResourceExt as _;

use super::fetch::Member;
use super::names::{CHANGED_WHILE_READY, NODE};

/// A member, as the status shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, and a column of the status"
)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) node: Option<String>,
    pub(super) endpoint_id: Option<String>,
    /// Its node is there and matches: it counts.
    pub(super) here: bool,
    pub(super) ready: bool,
    /// Once the steps are done.
    pub(super) updated: bool,
    /// It waits for its turn, or is waited for.
    pub(super) in_rollout: bool,
    /// What keeps it from serving passes by itself.
    pub(super) starts: bool,
}

/// What there is to say of a member without its node.
pub(super) fn row(member: &Member) -> Row {
    let object = &member.object;
    Row {
        name: object.name_any(),
        node: object.annotations().get(NODE).cloned(),
        endpoint_id: object.status.as_ref().and_then(|status| status.endpoint_id.clone()),
        here: false,
        ready: false,
        updated: false,
        in_rollout: false,
        starts: false,
    }
}

/// Its own controller is at work on it, or has not seen it yet.
pub(super) fn starts(member: &Member) -> bool {
    let status = member.object.status.as_ref();
    let says = |type_: &str| {
        let conditions = status.into_iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|condition| condition.type_ == type_ && condition.status == "True")
    };
    member.readable && (!is_seen(&member.object) || says("Reconciling"))
}

/// The Reflector's controller has looked at it as it is now.
pub(super) fn is_seen(member: &Reflector) -> bool {
    let seen = member.status.as_ref().and_then(|status| status.observed_generation);
    seen.is_some() && seen == member.metadata.generation
}

/// Ready, and not as it was before a change that restarted it. A change that restarted nothing is no interruption, although
/// nobody has looked at it yet.
pub(super) fn is_ready(member: &Member) -> bool {
    let object = &member.object;
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
    let restarted = object.annotations().contains_key(CHANGED_WHILE_READY);
    ready.is_some_and(|ready| {
        ready.status == "True" && (!restarted || ready.observed_generation == object.metadata.generation)
    }) && object.metadata.deletion_timestamp.is_none()
}
