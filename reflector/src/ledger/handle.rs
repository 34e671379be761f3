//! The handle everybody holds: accounts, time, commits, and the end of the writer thread.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crds::EndpointId;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use crate::clock::Now;

use super::account::{Account, Usage};
use super::error::Error;
use super::store::{Contents, Forgetful, RedbStore, Store};
use super::time::{LedgerClock, Moment};
use super::writer::{Health, QUEUE, Request, Waker, Writer};

/// How long a grant waits for the disk before it is denied instead.
const COMMIT_DEADLINE: Duration = Duration::from_secs(5);

/// Names the boot we are in.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where the ledger reads the time: [`crate::clock::now`], or a test's own.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Told about every commit: whether it succeeded, and how long it took.
pub type OnCommit = Box<dyn Fn(bool, Duration) + Send + Sync>;

/// What the handle and the writer thread share.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
    pub(super) time: LedgerClock,
    pub(super) waker: Arc<Waker>,
    pub(super) on_commit: OnceLock<OnCommit>,
    accounts: Mutex<HashMap<EndpointId, Arc<Account>>>,
}

impl Shared {
    pub(super) fn all(&self) -> Vec<Arc<Account>> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn forgettable(&self, now: Moment) -> Vec<EndpointId> {
        let accounts = self.lock();
        accounts.values().filter(|account| account.is_forgettable(now)).map(|account| *account.id()).collect()
    }

    /// Drops accounts whose rows are gone, unless they were taken up again meanwhile.
    pub(super) fn forget(&self, ids: &[EndpointId], now: Moment) {
        let mut accounts = self.lock();
        for id in ids {
            // Whoever still holds the account could charge it after we let go of it.
            if accounts
                .get(id)
                .is_some_and(|account| account.is_forgettable(now) && Arc::strong_count(account) <= 2)
            {
                accounts.remove(id);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EndpointId, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ledger. Clones are one ledger; when the last one goes, what is left is written and the thread ends.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    health: watch::Receiver<Health>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("path", &self.inner.shared.path).finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger at `path`, or makes a new one when there is no such file. Blocks on the disk; called once at
    /// start. Any file that is there and not a healthy ledger is an error.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, Error> {
        let boot = fs::read_to_string(BOOT_ID).ok().and_then(|text| text.trim().parse().ok());
        Self::open_in_boot(path, clock, boot)
    }

    /// One that forgets when it is dropped: for what counts against nobody.
    pub(crate) fn in_memory(clock: Clock) -> Result<Self, Error> {
        Self::start(Path::new("memory"), clock, None, Forgetful, Contents::default())
    }

    pub(super) fn open_in_boot(path: &Path, clock: Clock, boot: Option<Uuid>) -> Result<Self, Error> {
        let now = clock();
        let fresh = LedgerClock::resume(None, now, boot);
        let (store, contents) = RedbStore::open(path, fresh.anchor(now))?;
        Self::start(path, clock, boot, store, contents)
    }

    pub(super) fn start(
        path: &Path,
        clock: Clock,
        boot: Option<Uuid>,
        store: impl Store + 'static,
        contents: Contents,
    ) -> Result<Self, Error> {
        let time = LedgerClock::resume(contents.anchor.as_ref(), clock(), boot);
        let (sender, queue) = sync_channel(QUEUE);
        let waker = Arc::new(Waker { queue: sender, awake: AtomicBool::new(false) });
        let accounts = contents.books.into_iter().map(|(id, mut book)| {
            book.recover();
            (id, Arc::new(Account::new(id, book, Arc::clone(&waker))))
        });
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            clock,
            time,
            waker: Arc::clone(&waker),
            on_commit: OnceLock::new(),
            accounts: Mutex::new(accounts.collect()),
        });
        let (report, health) = watch::channel(Health::default());
        let writer = Writer { store, shared: Arc::clone(&shared), queue, health: report, pruned_at: None };
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| Error::Create { path: path.to_owned(), detail: error.to_string() })?;
        Ok(Self { inner: Arc::new(Inner { shared, health, thread: Mutex::new(Some(thread)) }) })
    }

    /// Now, on the ledger's clock.
    pub fn moment(&self) -> Moment {
        self.at((self.inner.shared.clock)())
    }

    /// A clock reading in ledger time.
    pub fn at(&self, now: Now) -> Moment {
        self.inner.shared.time.at(now)
    }

    /// The date for expiry checks: a clock set back makes nothing valid again.
    pub fn trusted_wall(&self, now: Now) -> Timestamp {
        self.inner.shared.time.trusted_wall(now)
    }

    /// The account of a peer; a new one when it has none yet. Only for authorised peers, so strangers cost nothing.
    pub fn account(&self, id: EndpointId) -> Arc<Account> {
        let mut accounts = self.inner.shared.lock();
        let waker = &self.inner.shared.waker;
        Arc::clone(
            accounts.entry(id).or_insert_with(|| {
                Arc::new(Account::new(id, super::quota::Book::default(), Arc::clone(waker)))
            }),
        )
    }

    /// Usage of a peer, without making an account for one that has none.
    pub fn usage(&self, id: &EndpointId) -> Option<Usage> {
        let account = self.inner.shared.lock().get(id).cloned()?;
        Some(account.usage(self.moment()))
    }

    /// An authorised peer has connected or is still here.
    pub fn seen(&self, id: EndpointId) {
        self.account(id).record_seen(self.moment());
    }

    /// Writes everything that changed; it is on the medium when this returns. Dropping the future loses nothing.
    pub async fn commit(&self) -> Result<(), Error> {
        let (done, written) = oneshot::channel();
        self.inner.shared.waker.queue.try_send(Request::Commit(done)).map_err(|error| match error {
            TrySendError::Full(_) => Error::Slow("too many writes wait"),
            TrySendError::Disconnected(_) => Error::Stopped,
        })?;
        match tokio::time::timeout(COMMIT_DEADLINE, written).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(Error::Slow("a write took longer than 5 s")),
        }
    }

    /// Reports commits from now on; the first caller stays. Called on the writer's thread: must not block.
    pub fn report_commits(&self, to: OnCommit) {
        // A second reporter would count every commit twice.
        let _ = self.inner.shared.on_commit.set(to);
    }

    /// Whether the writer still looks at its queue. Writes nothing, so that anybody may ask. One that has ended does
    /// not hang: [`Ledger::ended`] tells about it.
    pub async fn answers(&self) -> bool {
        let (done, answered) = oneshot::channel();
        match self.inner.shared.waker.queue.try_send(Request::Ping(done)) {
            Ok(()) => tokio::time::timeout(COMMIT_DEADLINE, answered).await.is_ok(),
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(_)) => true,
        }
    }

    /// How writing goes; changes are rare.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.inner.health.clone()
    }

    /// Resolves when the writer has ended. Unasked, that is a reason to end the process: nothing would be counted.
    pub async fn ended(&self) {
        let mut health = self.health();
        // An error means the writer is gone without a word, as after a panic.
        let _ = health.wait_for(|health| health.ended).await;
    }

    /// Writes what is left and ends the writer. Part of an orderly shutdown; later commits fail.
    pub async fn close(&self) -> Result<(), Error> {
        self.commit().await?;
        let (done, ended) = oneshot::channel();
        self.inner.shared.waker.queue.try_send(Request::Stop(done)).map_err(|_| Error::Stopped)?;
        match tokio::time::timeout(COMMIT_DEADLINE, ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Slow("the last write took longer than 5 s")),
        }
    }

    /// Ends the writer as `kill -9` would: what was not flushed is lost.
    #[cfg(test)]
    pub(crate) fn vanish(&self) {
        let _ = self.inner.shared.waker.queue.send(Request::Vanish);
        self.inner.join();
    }
}

impl Inner {
    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the ledger writer panicked");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let (done, _) = oneshot::channel();
        // A writer that is gone needs no telling. One with a full queue is stuck on its disk: waiting for it here
        // could hang the exit, and what it holds is at most one flush interval.
        if self.shared.waker.queue.try_send(Request::Stop(done)).is_ok() {
            self.join();
        }
    }
}
