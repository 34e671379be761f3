//! The way of one request: parameters, slot, listener, record on disk, grant. Whatever fails on the way undoes what
//! came before it, because each step holds the guard of the last.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

use crate::access::policy::{Policy, Quotas};
use crate::engine::{Engine, Prepare, PrepareError, Prepared};
use crate::link::features::Feature;
use crate::link::message::{SessionGrant, SessionParams, TestType};
use crate::reason::{DenyReason, EndReason};

use super::active::Active;
use super::admission::{self, GRANT_SLACK, UNKNOWN_WAIT};
use super::denial::{Denied, whole_seconds};
use super::place::Place;
use super::placement;
use super::requester::Requester;
use super::sessions::Granted;
use super::table::Core;
use super::task;
use super::ticket::Ticket;

/// A request that meets the peer's own test in its last exchange waits this long for it.
const CLOSING_WAIT: Duration = Duration::from_secs(1);

/// A listener that is not up by then is not worth a client's patience.
const PREPARE_DEADLINE: Duration = Duration::from_secs(5);

pub(super) async fn admit(
    core: &Arc<Core>,
    requester: &Requester,
    ticket: &Ticket,
    policy: &Arc<Policy>,
    test_type: TestType,
    params: &SessionParams,
) -> Result<Granted, Denied> {
    let engine = core.engine(test_type).ok_or_else(|| admission::no_engine(test_type))?;
    let placement = placement::place(params.mode, requester.peer.features, core.routes)?;
    let plan = admission::check(test_type, params, placement, &policy.quotas)?;
    let place = reserve(core, requester, ticket, policy, plan).await?;
    let active = Arc::clone(&place.active);
    let prepared = prepare(core, engine, &active, &policy.quotas).await?;
    core.ledger.commit().await.map_err(|error| {
        tracing::error!(%error, "a grant could not be recorded and was not given");
        Denied::until(
            DenyReason::Busy,
            UNKNOWN_WAIT,
            "this reflector cannot record usage; its operator has to repair its ledger",
        )
    })?;
    if let Some(reason) = active.stop_reason() {
        // Revoked, closed or shut down while the listener was put up.
        return Err(match reason {
            EndReason::Revoked | EndReason::Suspended | EndReason::Expired => {
                Denied::unauthorized("this peer is no longer authorised")
            }
            _ => Denied::until(DenyReason::Busy, UNKNOWN_WAIT, "this reflector is shutting down"),
        });
    }
    Ok(launch(core, place, prepared))
}

/// Takes a slot, waiting for the peer's own test when that is all but over.
async fn reserve(
    core: &Arc<Core>,
    requester: &Requester,
    ticket: &Ticket,
    policy: &Arc<Policy>,
    plan: admission::Plan,
) -> Result<Place, Denied> {
    let until = Instant::now() + CLOSING_WAIT;
    let mut changes = core.changes.subscribe();
    loop {
        let denied = match core.reserve(requester, ticket, policy, plan) {
            Ok(place) => return Ok(place),
            Err(denied) => denied,
        };
        let own_closing =
            core.sessions().iter().any(|own| own.peer.id == requester.peer.id && own.is_closing());
        let worth_waiting = denied.reason == DenyReason::Busy && own_closing;
        if !worth_waiting || timeout_at(until, changes.changed()).await.is_err() {
            return Err(denied);
        }
    }
}

async fn prepare(
    core: &Arc<Core>,
    engine: &Arc<dyn Engine>,
    active: &Active,
    quotas: &Quotas,
) -> Result<Box<dyn Prepared>, Denied> {
    let what = Prepare {
        test_id: active.test_id,
        token: active.token,
        peer: active.peer.id,
        features: active.peer.features,
        secrets: Arc::clone(&active.secrets),
        placement: active.plan.placement,
        test_type: active.plan.test_type,
        protocol: active.plan.protocol,
        streams: active.plan.streams,
        reverse: active.plan.reverse,
        duration: active.plan.duration,
        peer_addr: active.peer.source,
        local_addr: active.peer.local,
        echo_allowed: quotas.allow_udp_echo,
        max_echo_pps: quotas.max_echo_pps,
        max_rate: quotas.max_rate,
    };
    let until = Instant::now() + CLOSING_WAIT;
    let mut changes = core.changes.subscribe();
    let outcome = loop {
        let outcome = listen(engine, what.clone()).await;
        // The first half of a speed test may still be saying goodbye on the control port.
        let worth_waiting = matches!(outcome, Err(PrepareError::Occupied(_)))
            && core.in_the_way(active).iter().any(|other| other.is_closing() || other.is_released());
        if !worth_waiting || timeout_at(until, changes.changed()).await.is_err() {
            break outcome;
        }
    };
    outcome.map_err(|error| match &error {
        PrepareError::Occupied(_) => {
            let now = core.moment().at;
            let wait = core.in_the_way(active).iter().map(|other| other.ends_at().since(now)).min();
            let wait = wait.unwrap_or(UNKNOWN_WAIT);
            Denied::until(DenyReason::Busy, wait, format!("{error}; ask again in {} s", whole_seconds(wait)))
        }
        PrepareError::Unsupported(_) => Denied::invalid(error.to_string()),
        PrepareError::Exhausted(_) => {
            tracing::warn!(%error, "no session could be prepared");
            let reason = if active.peer.features.has(Feature::ResourceExhausted) {
                DenyReason::ResourceExhausted
            } else {
                DenyReason::Busy
            };
            let wait = core.wait_for_slot(active).unwrap_or(UNKNOWN_WAIT);
            Denied::until(reason, wait, error.to_string())
        }
    })
}

/// One attempt of the engine to put its listener up.
async fn listen(engine: &Arc<dyn Engine>, what: Prepare) -> Result<Box<dyn Prepared>, PrepareError> {
    let work = AssertUnwindSafe(async { engine.prepare(what).await }).catch_unwind();
    match timeout(PREPARE_DEADLINE, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(PrepareError::Exhausted("the engine failed; this is a bug".to_owned())),
        Err(_) => Err(PrepareError::Exhausted("the listener was not up in time".to_owned())),
    }
}

/// From here on the session runs: no await between the grant's report and its task.
fn launch(core: &Arc<Core>, mut place: Place, prepared: Box<dyn Prepared>) -> Granted {
    let active = Arc::clone(&place.active);
    let granted_at = (core.clock)().wall;
    let (mode, port) = (prepared.mode(), prepared.port());
    let ended = place.granted(granted_at, mode, port);
    let lasts = SignedDuration::try_from(active.plan.duration + GRANT_SLACK).unwrap_or(SignedDuration::MAX);
    let expires_at = granted_at.checked_add(lasts).unwrap_or(granted_at);
    let grant = SessionGrant {
        test_id: active.test_id,
        mode,
        port,
        token: active.token.to_string(),
        // Whole seconds, rounded down: what we promise we keep.
        expires_at: Timestamp::from_second(expires_at.as_second()).unwrap_or(expires_at),
        duration_sec: Some(active.plan.duration.as_secs()),
        max_rate: active.policy().quotas.max_rate,
    };
    let span = tracing::info_span!("session", test_id = %active.test_id);
    core.tasks.spawn(task::run(Arc::clone(core), place, prepared).instrument(span));
    Granted { grant, ended }
}
