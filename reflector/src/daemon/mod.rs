//! The running reflector: wires the rooms, serves, and stops them in the right order.
//!
//! In: a loaded configuration and the engines of this build. Out: a process that serves until it is told to stop, and
//! an exit that leaves nothing unrecorded. Nothing is decided here that a room could decide.

mod admin;
#[cfg(test)]
mod ends_tests;
mod engines;
mod feeder;
mod host;
#[cfg(test)]
mod itself_tests;
mod observer;
mod pod;
mod probe;
mod recent;
#[cfg(test)]
mod rights_tests;
mod roster;
mod start;
mod tallies;
#[cfg(test)]
mod tests;
mod watcher;
mod wire;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Loaded;
use crate::server::Phase;
use crate::server::limits::DRAIN;

pub use self::engines::Engines;
pub(crate) use self::host::in_pod;
use self::start::{Reflector, start};

/// How long connections may take to close once nothing runs any more: they are told, and each says goodbye within
/// a quarter of a second.
const CLOSE: Duration = Duration::from_secs(3);

/// How long core tasks may take to end: some write a last file, and a command on the admin socket that takes a moment
/// is still answered. One that waits for a minute, or a folder on a dead mount, is left behind.
const LAST_TASKS: Duration = Duration::from_secs(3);

/// Threads for control work. Bulk data runs on threads of its own, so more would only cost memory.
const WORKERS: usize = 2;

/// Serves until SIGTERM or SIGINT; then drains and returns.
pub fn serve(loaded: Loaded, engines: Engines) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("reflector")
        .enable_all()
        .build()
        .context("start the runtime")?;
    let outcome = runtime.block_on(run(loaded, engines));
    // Everything is on record. Dropping the runtime would wait for ever for a thread that is stuck in a file system.
    runtime.shutdown_background();
    outcome
}

async fn run(loaded: Loaded, engines: Engines) -> Result<()> {
    let mut signals = Signals::new()?;
    let reflector = start(loaded, engines).await?;
    let mut core = JoinSet::new();
    let stop = CancellationToken::new();
    let accepting = reflector.spawn_core(&mut core, &stop);
    tracing::info!(
        endpoint_id = %reflector.endpoint_id(),
        listen = %reflector.listen,
        health = %reflector.health_listen,
        position = reflector.position,
        "serving"
    );
    let failed = tokio::select! {
        () = signals.next() => None,
        Some(ended) = core.join_next() => Some(ended),
    };
    if failed.is_some() {
        tracing::error!("a core task ended unasked: stopping");
    } else {
        tracing::info!("stopping: no new sessions; running ones may finish (a second signal stops at once)");
    }
    reflector.stop_accepting(&accepting);
    drain(&reflector, &mut signals, failed.is_some()).await;
    accepting.cancel();
    stop.cancel();
    let ended = async { while core.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_TASKS, ended).await.is_err() {
        tracing::warn!(tasks = core.len(), "core tasks were slow to end");
        core.shutdown().await;
    }
    reflector.close().await?;
    match failed {
        None => {
            tracing::info!("stopped");
            Ok(())
        }
        Some(Ok(Ok(task))) => bail!("{task} ended unasked"),
        Some(Ok(Err(error))) => Err(error),
        Some(Err(error)) => Err(error).context("a core task panicked"),
    }
}

/// Lets running sessions end, then closes every connection. A failed core task leaves no time for the first.
async fn drain(reflector: &Reflector, signals: &mut Signals, at_once: bool) {
    reflector.server.enter(Phase::Draining);
    let patience = if at_once { Duration::ZERO } else { DRAIN };
    let cut = tokio::select! {
        cut = reflector.sessions.drain(patience) => cut,
        () = signals.next() => reflector.sessions.drain(Duration::ZERO).await,
    };
    if cut > 0 {
        tracing::warn!(sessions = cut, "sessions were cut");
    }
    reflector.server.enter(Phase::Stopping);
    if tokio::time::timeout(CLOSE, reflector.server.closed()).await.is_err() {
        tracing::warn!(connections = reflector.server.connections(), "connections were slow to close");
    }
}

/// SIGTERM and SIGINT. As PID 1 a process without a handler ignores both.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate()).context("handle SIGTERM")?,
            int: signal(SignalKind::interrupt()).context("handle SIGINT")?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
