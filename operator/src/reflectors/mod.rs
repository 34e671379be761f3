//! The controller of `Reflector`: `fetch → validate → build → apply → status`, for one object at a time.
//!
//! Status is written also when a step before it failed. A reconcile that finds everything as it should be writes
//! nothing. An object that cannot be read is said to be so, and never stops the others.

mod apply;
mod build;
mod caches;
mod children;
mod fetch;
mod neighbours;
mod settings;
mod status;
#[cfg(test)]
mod testing;
mod undecodable;
mod validate;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::reflector::Reflector;
use futures_util::{Stream, StreamExt as _};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt as _};
use tokio_util::sync::CancellationToken;

use crate::admin::Warmth as _;
use crate::backoff::Backoff;
use crate::clock;
use crate::lease::Standing;
use crate::metrics::{Kind, Metrics, Outcome};
use crate::writing::{self, Recorder, Writer, transition};
pub(crate) use caches::{Caches, Scope, watch};
pub(crate) use settings::{Settings, split_reference};
use status::{OurStatus, Progress};

/// A watch can die without a word; so each object is looked at again now and then. Up to a tenth is added at random.
const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);
/// Until the other caches are warm: what is not in a cold one is not missing.
const WARMING: Duration = Duration::from_millis(200);
/// Reconciles at one time: they wait for the API server most of the time, and it should not wait for us.
const CONCURRENCY: u16 = 16;

type Ours = DeserializeGuard<Reflector>;

/// What every reconcile has at hand.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) caches: Arc<Caches>,
    pub(crate) writer: Writer,
    pub(crate) recorder: Recorder,
    pub(crate) standing: Standing,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) backoff: Mutex<Backoff<ObjectRef<Ours>>>,
}

/// A reconcile that is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    #[error("build the objects of a Reflector")]
    Build(#[source] serde_json::Error),
    #[error(transparent)]
    Apply(#[from] apply::Error),
    #[error(transparent)]
    Status(#[from] writing::Error),
    #[error("say that an object cannot be read")]
    Undecodable(#[source] Box<kube::Error>),
}

impl Error {
    /// What a person is told in the condition.
    fn words(&self) -> String {
        match self {
            Self::Apply(error) => error.words(),
            Self::Status(error) => error.words(),
            Self::Fetch(error) => match std::error::Error::source(error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            },
            Self::Build(source) => format!("{self}: {source}"),
            Self::Undecodable(source) => format!("{self}: {source}"),
        }
    }
}

/// Runs until `stop`, and then until what was begun has ended. On a standby the caches are kept warm and nothing else
/// happens; `won` says when everything is looked at.
pub(crate) async fn run(
    controller: Controller<Ours>,
    context: Arc<Context>,
    won: impl Stream<Item = ()> + Send + 'static,
    stop: CancellationToken,
) {
    controller
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_all_on(won)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, retry, context.clone())
        .for_each(|ended| {
            match ended {
                // It was deleted in the meantime.
                Err(controller::Error::ObjectNotFound(_)) | Ok(_) => {}
                Err(controller::Error::ReconcilerFailed(error, object)) => {
                    tracing::warn!(%object, error = error.words(), "reconcile");
                }
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "controller"),
            }
            std::future::ready(())
        })
        .await;
}

async fn reconcile(object: Arc<Ours>, context: Arc<Context>) -> Result<Action, Error> {
    let began = clock::now();
    if !context.standing.may_write(began) {
        return Ok(Action::await_change());
    }
    // Not awaited here: while every place is taken by one that waits, no watch makes progress.
    if !context.caches.cold().is_empty() {
        return Ok(Action::requeue(WARMING));
    }
    let done = match &object.0 {
        Ok(reflector) => pipeline(reflector, &context).await,
        Err(invalid) => undecodable::say(invalid, &context).await,
    };
    let took = Duration::from_millis(clock::now().mono_ms.saturating_sub(began.mono_ms));
    let outcome = done.as_ref().map_or(Outcome::Error, |outcome| *outcome);
    context.metrics.reconciled(Kind::Reflector, outcome, took);
    tracing::debug!(outcome = outcome.value(), "reconciled");
    done?;
    context.backoff.lock().unwrap_or_else(PoisonError::into_inner).forget(&ObjectRef::from_obj(&*object));
    Ok(Action::requeue(LOOK_AGAIN + LOOK_AGAIN.mul_f64(f64::from(random()) / f64::from(u32::MAX) / 10.0)))
}

async fn pipeline(cached: &Reflector, context: &Context) -> Result<Outcome, Error> {
    let caches = &context.caches;
    let mut reflector = fetch::newest(caches, cached);
    if reflector.metadata.deletion_timestamp.is_some() {
        // What is owned goes with it; the claim stays.
        return Ok(Outcome::Unchanged);
    }
    let mut wrote = false;
    if reflector.status.as_ref().is_none_or(|status| status.conditions.is_empty()) {
        let seen = status::first(&reflector, clock::now());
        reflector = write(context, &reflector, &seen).await?;
        wrote = true;
    }

    let mut found = fetch::fetch(caches, &context.client, reflector).await?;
    let plan = match validate::validate(&found, &context.settings) {
        Ok(plan) => plan,
        Err(refusal) => {
            report(context, &found, &Progress::Refused(&refusal)).await?;
            return Ok(Outcome::Invalid);
        }
    };
    let applied = async {
        let claim = found.children.claim.clone();
        let desired = build::build(&plan, claim.as_deref(), &context.settings).map_err(Error::Build)?;
        let uid = plan.uid.clone();
        Ok::<bool, Error>(apply::apply(&context.writer, caches, desired, &mut found.children, &uid).await?)
    };
    let applied = applied.await;
    match applied {
        Ok(changed) => wrote |= changed,
        Err(error) => {
            // What failed first is what is reported.
            let progress = Progress::Failed(Some(&plan), error.words());
            if let Err(second) = report(context, &found, &progress).await {
                tracing::warn!(error = &second as &dyn std::error::Error, "say what failed");
            }
            return Err(error);
        }
    }
    if found.claim.is_none() {
        found.claim = found.children.claim.clone();
    }
    wrote |= report(context, &found, &Progress::Applied(&plan)).await?;
    Ok(if wrote { Outcome::Ok } else { Outcome::Unchanged })
}

/// Writes the status if it says something new, and tells the event of it. Says whether it did.
async fn report(context: &Context, found: &fetch::Found, progress: &Progress<'_>) -> Result<bool, Error> {
    let ours = status::status(found, progress, clock::now());
    let reflector = &found.reflector;
    if ours.is_in(reflector) {
        return Ok(false);
    }
    let before = reflector
        .status
        .as_ref()
        .and_then(|status| status.conditions.iter().find(|condition| condition.type_ == "Ready").cloned());
    write(context, reflector, &ours).await?;
    if let Some(note) = ours.ready().and_then(|ready| transition(before.as_ref(), ready)) {
        context.recorder.tell(&**reflector, &note).await;
    }
    Ok(true)
}

async fn write(context: &Context, reflector: &Reflector, ours: &OurStatus) -> Result<Arc<Reflector>, Error> {
    let answer = context.writer.apply_status(Kind::Reflector, reflector, ours).await?;
    let answer = Arc::new(answer);
    context.caches.written.reflectors.wrote(reflector.resource_version(), answer.clone(), clock::now());
    Ok(answer)
}

fn retry(object: Arc<Ours>, _error: &Error, context: Arc<Context>) -> Action {
    let mut backoff = context.backoff.lock().unwrap_or_else(PoisonError::into_inner);
    Action::requeue(backoff.failed(&ObjectRef::from_obj(&*object), random()))
}

/// Spreads what would otherwise come at once; when there is no randomness, nothing is spread.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
