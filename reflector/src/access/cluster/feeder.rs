//! The task that owns it all: hears the watches, tells the index, has the policy kept.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::access::effective::ReflectorPolicy;
use crate::access::handle::{Access, Clock};
use crate::cluster::Own;

use super::held::{Effect, Held, News, watched};
use super::keeper::{Keeper, Wanted};
use super::kept::{Contact, Kept};
use super::pace::Timing;
use super::store::{self, Store};
use super::watch::{Told, Watch};

/// What watches may have told before it is heard. Each waits then, and with it the API server.
const QUEUE: usize = 64;
/// How long the last write may take when the reflector stops.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// What the feeder works with.
pub struct Settings {
    /// Who we are.
    pub own: Own,
    /// Asks the API server.
    pub client: Client,
    /// The index.
    pub access: Access,
    /// What holds where the Reflector says nothing.
    pub base: ReflectorPolicy,
    /// Where the key is.
    pub state_dir: PathBuf,
    /// Both clocks.
    pub clock: Clock,
    /// Whether somebody keeps the wall clock in step.
    pub synchronised: fn() -> bool,
    /// Called whenever the API server gave a sign of life.
    pub heard: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("own", &self.own).finish_non_exhaustive()
    }
}

/// What others may know of the feeder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    held: Arc<Mutex<Held>>,
    revision: watch::Receiver<u64>,
    durable: watch::Receiver<Option<u64>>,
}

impl Handle {
    /// Looks at what is held now. Must not wait: the watches do meanwhile.
    pub fn look<T>(&self, read: impl FnOnce(&Held) -> T) -> T {
        read(&lock(&self.held))
    }

    /// Changes whenever what is held may be different.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.revision.clone()
    }

    /// Whatever was received up to then (milliseconds since boot) is on disk: only now may a revocation be called
    /// enforced. `None`: nothing is.
    pub fn durable(&self) -> watch::Receiver<Option<u64>> {
        self.durable.clone()
    }
}

/// The feeder. [`Cluster::run`] is its one task.
pub struct Cluster {
    settings: Settings,
    timing: Timing,
    store: Store,
    held: Arc<Mutex<Held>>,
    revision: watch::Sender<u64>,
    durable: watch::Sender<Option<u64>>,
    wanted: watch::Sender<Wanted>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A feeder and its handle. Nothing is asked before [`Cluster::run`].
    pub fn new(settings: Settings) -> (Handle, Self) {
        let held = Arc::new(Mutex::new(Held::new(settings.own.clone(), settings.base.clone())));
        let (revision, durable, wanted) =
            (watch::Sender::new(0), watch::Sender::new(None), watch::Sender::default());
        let handle =
            Handle { held: Arc::clone(&held), revision: revision.subscribe(), durable: durable.subscribe() };
        let store = Store::new(&settings.state_dir);
        (handle, Self { settings, timing: Timing::default(), store, held, revision, durable, wanted })
    }

    #[cfg(test)]
    pub(super) fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// Takes up the kept policy, then follows the API server until `cancel`. Returns before only when one of its tasks has
    /// ended unasked.
    pub async fn run(self, cancel: CancellationToken) {
        let boot = tokio::task::spawn_blocking(store::boot).await.unwrap_or_default();
        self.restore(boot).await;
        let (news, mut told) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        for watched in watched(&self.settings.own) {
            let watch = Watch {
                client: self.settings.client.clone(),
                watched,
                own: self.settings.own.clone(),
                clock: Arc::clone(&self.settings.clock),
                timing: self.timing,
                news: news.clone(),
            };
            tasks.spawn(watch.run());
        }
        drop(news);
        let mut keeping = tokio::spawn(
            Keeper {
                store: self.store.clone(),
                held: Arc::clone(&self.held),
                access: self.settings.access.clone(),
                clock: Arc::clone(&self.settings.clock),
                boot,
                wanted: self.wanted.subscribe(),
                durable: self.durable.clone(),
            }
            .run(cancel.clone()),
        );
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(_ended) = tasks.join_next() => return keeping.abort(),
                _ended = &mut keeping => return,
                Some(told) = told.recv() => self.hear(told),
            }
        }
        tasks.shutdown().await;
        if tokio::time::timeout(LAST_WRITE, &mut keeping).await.is_err() {
            keeping.abort();
            tracing::warn!("the last contact with the API server could not be kept in time");
        }
    }

    pub(super) fn hear(&self, Told { watched, news, received_mono_ms }: Told) {
        if !matches!(news, News::Away(_) | News::Forbidden(_)) {
            (self.settings.heard)();
        }
        if news == News::Quiet {
            return;
        }
        let heard = lock(&self.held).hear(watched, news);
        let unchanged = heard.effects.is_empty() && !heard.keep;
        for effect in heard.effects {
            self.perform(effect, received_mono_ms);
        }
        self.revision.send_modify(|revision| *revision = revision.wrapping_add(1));
        if unchanged {
            return;
        }
        let upto = (self.settings.clock)().mono_ms;
        self.wanted.send_modify(|wanted| {
            wanted.upto = upto;
            wanted.policy = wanted.policy.wrapping_add(heard.keep.into());
        });
    }

    fn perform(&self, effect: Effect, received_mono_ms: u64) {
        let access = &self.settings.access;
        match effect {
            Effect::Reflector(policy, grace) => {
                access.set_offline_grace(grace);
                access.set_reflector(policy);
            }
            Effect::Load(all) => {
                tracing::info!(peers = all.len(), "the policy is that of the API server");
                access.load(all, 0, received_mono_ms);
            }
            Effect::Apply(key, object) => {
                if let Err(broken) = &object.peer {
                    tracing::warn!(peer = %broken.name, problem = %broken.problem, "a peer cannot be used");
                }
                access.apply(&key, &object, received_mono_ms);
            }
            Effect::Delete(key) => access.delete(&key, received_mono_ms),
            Effect::Away(why) => {
                tracing::warn!(%why, "the last policy holds for the grace");
                access.source_away(why);
            }
        }
    }

    /// Serves within the grace of the last contact until the API server answers.
    async fn restore(&self, boot: Option<uuid::Uuid>) {
        let store = self.store.clone();
        let read = tokio::task::spawn_blocking(move || (store.policy(), store.contact())).await;
        let Ok((policy, contact)) = read else { return };
        let ignored = |why: &str| tracing::warn!(%why, "no kept policy holds: nobody is known before the API server answers");
        match (policy, contact) {
            (Ok(Some(kept)), Ok(contact)) => {
                if let Err(why) = self.take_up(&kept, contact, boot) {
                    ignored(&why);
                }
            }
            (Err(why), _) | (_, Err(why)) => ignored(&why),
            (Ok(None), _) => {}
        }
    }

    fn take_up(&self, kept: &Kept, contact: Option<Contact>, boot: Option<uuid::Uuid>) -> Result<(), String> {
        if self.settings.own.uid.as_ref().is_some_and(|uid| *uid != kept.uid) {
            return Err("it is that of another Reflector of our name".to_owned());
        }
        let now = (self.settings.clock)();
        let synchronised = (self.settings.synchronised)();
        let used = contact.map_or(Duration::MAX, |contact| contact.used(now, boot, synchronised));
        let restored = lock(&self.held).restore(kept)?;
        let access = &self.settings.access;
        access.set_offline_grace(restored.offline_grace);
        access.set_reflector(restored.policy);
        tracing::info!(peers = restored.objects.len(), used = ?used, "the kept policy holds until the API server answers");
        access.restore(restored.objects, used, "the API server did not answer yet".to_owned());
        self.revision.send_modify(|revision| *revision = revision.wrapping_add(1));
        Ok(())
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    // A panic while it was held ends the feeder's task, and with it the process.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
