//! What a request would come to, without a slot, a port, a record or a report: the reflector asks itself.

use crate::access::policy::Policy;
use crate::ledger::quota::Book;
use crate::link::features::Features;
use crate::link::message::{SessionParams, TestType};

use super::admission::{self, Plan, View};
use super::denial::Denied;
use super::placement;
use super::table::Core;

/// The decision of [`super::request::admit`], up to where it would take a slot. The caps are those of `policy`, and nobody's use
/// counts against them.
pub(super) fn rehearse(
    core: &Core,
    policy: &Policy,
    features: Features,
    test_type: TestType,
    params: &SessionParams,
) -> Result<Plan, Denied> {
    core.engine(test_type).ok_or_else(|| admission::no_engine(test_type))?;
    let placement = placement::place(params.mode, features, core.routes)?;
    let plan = admission::check(test_type, params, placement, &policy.quotas)?;
    let view = View {
        policy,
        book: &Book::default(),
        running: &[],
        before: None,
        closed_for: None,
        shut: core.shut_now(),
        now: core.moment(),
    };
    admission::decide(plan, &view)
}
