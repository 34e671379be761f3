//! The task around one running engine: deadlines, silence, windows, stop, panic. Ends with exactly one report.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use crate::engine::{Ended, Prepared};
use crate::link::message::Protocol;
use crate::reason::EndReason;

use super::active::Active;
use super::control::SessionControl;
use super::place::Place;
use super::table::Core;

/// An engine that was told to stop is dropped after this long: a goodbye may take a round trip, not more.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The same for an engine that is to cut a test short: its bytes stand still at once, but the client hears so at the end of
/// an interval of its own (up to 1.1 s later), sends its results (5 s) and reads ours.
const CUT_GRACE: Duration = Duration::from_secs(7);

/// A client is gone when neither control nor data connections heard from it for this long.
pub(super) const VANISHED_AFTER: Duration = Duration::from_secs(3);

/// The same while we send UDP, which fills the queue that acknowledgements of the control connection wait in.
pub(super) const VANISHED_AFTER_SENDING_UDP: Duration = Duration::from_secs(10);

/// Silence and windows are looked at this often at least, only while a session runs; sooner when silence is about to
/// reach its limit, so that the limit is kept to this.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Runs the engine to its end and reports it.
pub(super) async fn run(core: Arc<Core>, place: Place, prepared: Box<dyn Prepared>) {
    let active = Arc::clone(&place.active);
    let control = SessionControl { active: Arc::clone(&active), core: Arc::clone(&core) };
    // `run` itself may panic before it returns a future: inside the block it is caught too.
    let engine = AssertUnwindSafe(async move { prepared.run(control).await }).catch_unwind();
    // The engine is dropped in here, before the end is reported: then its port is closed when the slot is free.
    let outcome = supervise(&core, &active, engine).await;
    let told = active.stop_reason();
    match outcome {
        Outcome::Ended(ended) => place.finish(told.unwrap_or(ended.reason), Some(ended)),
        Outcome::Panicked => {
            tracing::error!(test_id = %active.test_id, "an engine panicked; its session ends as internal");
            place.finish(EndReason::Internal, None);
        }
        Outcome::Dropped => {
            tracing::warn!(test_id = %active.test_id, reason = ?told, "an engine did not stop in time and was dropped");
            place.finish(told.unwrap_or(EndReason::Internal), None);
        }
    }
}

enum Outcome {
    Ended(Ended),
    Panicked,
    Dropped,
}

async fn supervise<E>(core: &Core, active: &Active, engine: E) -> Outcome
where
    E: Future<Output = Result<Ended, Box<dyn std::any::Any + Send>>>,
{
    let mut engine = pin!(engine);
    let mut watch = Watch::new(active);
    let deadline = active.deadline();
    let mut dropped_at: Option<Instant> = None;
    loop {
        // Every arm is cancel-safe: the engine is only borrowed, the rest are timers and a token.
        tokio::select! {
            biased;
            ended = &mut engine => return ended.map_or(Outcome::Panicked, Outcome::Ended),
            () = sleep_until(dropped_at.unwrap_or(deadline)), if dropped_at.is_some() => return Outcome::Dropped,
            () = active.stopped(), if dropped_at.is_none() => dropped_at = Some(Instant::now() + grace(active)),
            () = sleep_until(deadline), if dropped_at.is_none() => active.stop(EndReason::DurationCap),
            () = sleep_until(watch.next_look), if dropped_at.is_none() => {
                if (core.windows)(&active.policy(), (core.clock)()).is_some() {
                    active.stop(EndReason::WindowClosed);
                } else if watch.is_silent(active) {
                    active.stop(EndReason::ClientVanished);
                }
            }
        }
    }
}

/// How long the engine has for its goodbyes.
fn grace(active: &Active) -> Duration {
    match active.stop_reason() {
        Some(EndReason::DurationCap | EndReason::QuotaExceeded | EndReason::WindowClosed) => CUT_GRACE,
        _ => STOP_GRACE,
    }
}

/// Keeps an eye on a client's signs of life.
struct Watch {
    limit: Duration,
    next_look: Instant,
    bytes: u64,
    moved_at: Instant,
}

impl Watch {
    fn new(active: &Active) -> Self {
        let sends_udp = active.plan.protocol == Protocol::Udp && active.plan.reverse;
        let limit = if sends_udp { VANISHED_AFTER_SENDING_UDP } else { VANISHED_AFTER };
        let now = Instant::now();
        Self { limit, next_look: now + LOOK_INTERVAL, bytes: 0, moved_at: now }
    }

    fn is_silent(&mut self, active: &Active) -> bool {
        let now = Instant::now();
        let bytes = active.bytes.load(std::sync::atomic::Ordering::Acquire);
        if bytes != self.bytes {
            (self.bytes, self.moved_at) = (bytes, now);
        }
        let data = active.data_silence().unwrap_or_else(|| now.duration_since(self.moved_at));
        let silence = (active.peer.silence)().min(data);
        let left = self.limit.saturating_sub(silence);
        self.next_look = now + left.min(LOOK_INTERVAL).max(Duration::from_millis(1));
        left.is_zero()
    }
}
