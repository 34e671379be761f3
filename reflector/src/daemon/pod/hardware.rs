//! Measures the host when the Reflector's schedule says so, and says what came of it. Nothing runs meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::cluster::Handle;
use crate::clock;
use crate::cluster::status::Hardware;
use crate::engine::sys;
use crate::metrics::Metrics;
use crate::selftest::due::{Due, due};
use crate::selftest::{self, Options, Report};
use crate::server::Phase;
use crate::session::Sessions;

/// A self-test takes about eight seconds; its parts give up after twenty each. Peers are denied for so long at most.
const LONGEST: Duration = Duration::from_secs(60);

/// A schedule is of the wall clock, which may be set, and a wait is not. A wake an hour costs nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// Who measures.
pub(crate) struct Surveyor {
    /// What the Reflector's schedule is.
    pub(crate) held: Handle,
    /// Nothing is measured while a test runs, and no test is granted while something is measured.
    pub(crate) sessions: Sessions,
    /// Nothing is begun once the process is on its way out.
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) metrics: Metrics,
    /// Where the disk is measured.
    pub(crate) state_dir: PathBuf,
    /// When the process started.
    pub(crate) started: Timestamp,
}

impl Surveyor {
    /// Measures whenever it is due, until `cancel`. A measurement that runs then is left behind: it ends by itself, or with
    /// the process.
    pub(crate) async fn run(self, found: watch::Sender<Hardware>, cancel: CancellationToken) {
        let _cancelled = cancel.run_until_cancelled(self.watch(&found)).await;
        cancel.cancelled().await;
    }

    async fn watch(&self, found: &watch::Sender<Hardware>) {
        let mut news = self.held.changes();
        let mut last = None;
        loop {
            let wait = match self.next(last) {
                Due::In(Duration::ZERO) => {
                    let rest = self.sessions.rest(LONGEST).await;
                    if *self.phase.borrow() != Phase::Serving {
                        return;
                    }
                    // Somebody may have thought better of it while tests ran.
                    if self.next(last) != Due::In(Duration::ZERO) {
                        continue;
                    }
                    let stuck = self.measure(found).await;
                    drop(rest);
                    last = Some(clock::now().wall);
                    if let Some(stuck) = stuck {
                        // Never two at once. Whatever it finds now has had tests beside it.
                        drop(stuck.await);
                    }
                    continue;
                }
                Due::In(wait) => wait.min(LOOK_AGAIN),
                Due::Never => LOOK_AGAIN,
            };
            // Another schedule, or the time.
            if let Ok(Err(_)) = timeout(wait, news.changed()).await {
                return;
            }
        }
    }

    fn next(&self, last: Option<Timestamp>) -> Due {
        let schedule = self.held.look(|held| held.reflector()?.valid.self_test.clone());
        due(schedule.as_deref(), self.started, last, clock::now().wall)
    }

    /// One self-test. The answer is the one that did not end.
    async fn measure(&self, found: &watch::Sender<Hardware>) -> Option<JoinHandle<Report>> {
        let options = Options {
            state_dir: self.state_dir.clone(),
            quick: false,
            throughput_engine: true,
            clock_synced: || sys::clock_is_synchronised().ok(),
        };
        let mut running = spawn_blocking(move || selftest::run(&options, &mut |_| {}));
        match timeout(LONGEST, &mut running).await {
            Ok(Ok(report)) => {
                tracing::info!(verdict = report.verdict.as_str(), "measured this host");
                self.metrics.self_tested(report.verdict);
                found.send_replace(Hardware::found(&report, clock::now().wall));
                None
            }
            // Each check catches its own panic, so this is a bug beyond them.
            Ok(Err(error)) => {
                tracing::error!(%error, "the self-test broke");
                None
            }
            Err(_) => {
                tracing::warn!(seconds = LONGEST.as_secs(), "the self-test hangs");
                found.send_modify(|known| *known = known.clone().hung(LONGEST.as_secs()));
                Some(running)
            }
        }
    }
}
