//! Runs a controller: one object at a time, many objects at one time, each looked at when something woke it and now
//! and then anyway.
//!
//! In: the steps of one kind, and what wakes its objects. Out: reconciles, counted and timed; what failed is tried again
//! after a wait of its own. On a standby nothing is reconciled. What to do is none of its business.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::ObjectRef;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock;
use crate::metrics::{Kind, Outcome};
use crate::other_release::{self, OurPart, Words};
use crate::shared::Shared;
use crate::watches::{Object, Warmth, Watched};
use crate::writing;

/// A watch can die without a word; so each object is looked at again now and then. Up to a tenth is added at random.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);
/// Reconciles of one kind at one time: they wait for the API server most of the time, and it should not wait for us.
const CONCURRENCY: u16 = 16;

/// A controller that is ready to run: its name, and its life.
pub(crate) type Controller = (&'static str, BoxFuture<'static, ()>);

/// What a controller does with one object.
pub(crate) trait Steps: Send + Sync + 'static {
    type Object: Object + Resource<Scope = NamespaceResourceScope>;
    type Error: std::error::Error + From<other_release::Error> + Send + Sync + 'static;
    const KIND: Kind;
    /// What we own of its status besides `Ready`, `Reconciling` and `Stalled`.
    const OURS: OurPart;

    /// The write of a status that failed, when that is what failed.
    fn refused(error: &Self::Error) -> Option<&writing::Error>;

    /// Never runs twice at one time for one object, and only while this process may write and every cache is warm. One
    /// that cannot be read does not come here: the driver says so in its status.
    fn reconcile(&self, cached: &Self::Object) -> impl Future<Output = Result<Done, Self::Error>> + Send;
}

/// A reconcile that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// Look again after so long, when that is sooner than one would anyway.
    pub(crate) again: Option<Duration>,
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, again: None }
    }
}

/// A controller of what `watched` brings. `wakes` names objects to look at, besides those that changed themselves.
pub(crate) fn controller<S: Steps>(
    name: &'static str,
    steps: S,
    watched: &Watched<S::Object>,
    wakes: impl Stream<Item = ObjectRef<DeserializeGuard<S::Object>>> + Send + 'static,
    shared: &Shared,
) -> Controller {
    let own = watched.news().map(|object| ObjectRef::from_obj(&*object));
    let mut standing = shared.standing.clone();
    // Once: whoever loses the Lease again ends.
    let won = stream::once(async move { standing.won().await });
    let driver = Driver { steps, shared: shared.clone(), backoff: Mutex::new(Backoff::new()) };
    let run = controller::Controller::for_stream(stream::pending(), watched.cache.clone())
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(own)
        .reconcile_on(wakes)
        .reconcile_all_on(won)
        .graceful_shutdown_on(shared.stop.clone().cancelled_owned())
        .run(reconcile::<S>, retry::<S>, Arc::new(driver))
        .for_each(|ended| {
            match ended {
                // It was deleted in the meantime.
                Err(controller::Error::ObjectNotFound(_)) | Ok(_) => {}
                Err(controller::Error::ReconcilerFailed(error, object)) => {
                    tracing::warn!(%object, error = &error as &dyn std::error::Error, "reconcile");
                }
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "controller"),
            }
            std::future::ready(())
        });
    (name, once_warm(shared.warmth.clone(), shared.stop.clone(), run).boxed())
}

/// What is not in a cold cache is not missing. Waited for once, and not by each object: one list may be refused for as
/// long as nobody gives the right to it, and `/readyz` says which. What changes meanwhile is kept, once per object.
async fn once_warm(warmth: Warmth, stop: CancellationToken, run: impl Future<Output = ()>) {
    if stop.run_until_cancelled(warmth.warm()).await.is_some() {
        run.await;
    }
}

struct Driver<S: Steps> {
    steps: S,
    shared: Shared,
    backoff: Mutex<Failing<S::Object>>,
}

type Failing<K> = Backoff<ObjectRef<DeserializeGuard<K>>>;

impl<S: Steps> Driver<S> {
    fn failures(&self) -> MutexGuard<'_, Failing<S::Object>> {
        self.backoff.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn reconcile<S: Steps>(
    object: Arc<DeserializeGuard<S::Object>>,
    driver: Arc<Driver<S>>,
) -> Result<Action, S::Error> {
    let shared = &driver.shared;
    let began = clock::now();
    if !shared.standing.may_write(began) {
        return Ok(Action::await_change());
    }
    let name = ObjectRef::from_obj(&*object);
    if let Some(left) = driver.failures().holds(&name, object.meta().generation, began) {
        return Ok(Action::requeue(left));
    }
    let done = match &object.0 {
        Ok(readable) => {
            let done = Box::pin(driver.steps.reconcile(readable)).await;
            let refused = done.as_ref().err().and_then(S::refused).filter(|error| error.is_not_defined());
            if let Some(refused) = refused {
                // What failed first is what is tried again.
                if let Err(second) = say::<S>(&object, &Words::outdated(&refused.words()), shared).await {
                    tracing::warn!(error = &second as &dyn std::error::Error, "say what failed");
                }
            }
            done
        }
        Err(invalid) => match say::<S>(&object, &Words::unread(&invalid.error), shared).await {
            Ok(()) => Ok(Outcome::Invalid.into()),
            Err(error) => Err(error.into()),
        },
    };
    let took = Duration::from_millis(clock::now().mono_ms.saturating_sub(began.mono_ms));
    let outcome = done.as_ref().map_or(Outcome::Error, |done| done.outcome);
    shared.metrics.reconciled(S::KIND, outcome, took);
    tracing::debug!(object = %name, outcome = outcome.value(), "reconciled");
    let done = done?;
    driver.failures().forget(&name);
    Ok(Action::requeue(next(done, random())))
}

/// Said beside the steps: they know nothing of other releases.
async fn say<S: Steps>(
    object: &DeserializeGuard<S::Object>,
    words: &Words,
    shared: &Shared,
) -> Result<(), other_release::Error> {
    other_release::say::<S::Object>(S::KIND, object.meta(), words, &S::OURS, shared).await
}

/// When to look again. What is due at a moment is not spread: it was chosen by whoever knows it.
fn next(done: Done, share: u32) -> Duration {
    let anyway = LOOK_AGAIN + LOOK_AGAIN.mul_f64(f64::from(share) / f64::from(u32::MAX) / 10.0);
    done.again.map_or(anyway, |again| again.min(anyway))
}

#[expect(clippy::needless_pass_by_value, reason = "kube calls it so")]
fn retry<S: Steps>(
    object: Arc<DeserializeGuard<S::Object>>,
    _error: &S::Error,
    driver: Arc<Driver<S>>,
) -> Action {
    let (name, generation) = (ObjectRef::from_obj(&*object), object.meta().generation);
    Action::requeue(driver.failures().failed(&name, generation, random(), clock::now()))
}

/// Spreads what would otherwise come at once; when there is no randomness, nothing is spread.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_looked_at_again_within_eleven_minutes_or_when_it_asked_to_be() {
        let unchanged = Done::from(Outcome::Unchanged);
        assert_eq!(next(unchanged, 0), LOOK_AGAIN);
        assert_eq!(next(unchanged, u32::MAX), Duration::from_secs(11 * 60));
        let soon = Done { again: Some(Duration::from_secs(7)), ..unchanged };
        assert_eq!(next(soon, u32::MAX), Duration::from_secs(7));
        let late = Done { again: Some(Duration::from_secs(86_400)), ..unchanged };
        assert_eq!(next(late, 0), LOOK_AGAIN, "whatever it asked for");
    }
}
