//! Puts the program together: what runs, who owns it, and how it ends.
//!
//! Health first, so that a standby and a starting operator can be told apart from a dead one; then the election, the
//! watches and the controllers. A task that ends unasked ends the process: whoever restarts it is better at it than we
//! are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::fleets;
use crate::kinds::Kinds;
use crate::lease::{Keeper, Place, Standing};
use crate::metrics::Metrics;
use crate::peers;
use crate::reflectors;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::watches::Watches;
use crate::writing::{Recorder, Writer};

/// Connecting, and each answer to a request that is no watch, has deadlines of its own; this one is for the rest.
const CONNECT: Duration = Duration::from_secs(10);
/// How long what was begun may take when asked to stop. Above the deadline of any request.
const STOPPING: Duration = Duration::from_secs(20);

/// What the command line says.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Watch this namespace; all, when none.
    pub(crate) namespace: Option<String>,
    pub(crate) admin: SocketAddr,
    /// Take part in an election: the Lease's namespace, when it is not our own, and its name.
    pub(crate) lease: Option<(Option<String>, String)>,
    /// Who writes events and holds the Lease.
    pub(crate) instance: String,
    pub(crate) settings: Settings,
}

type Tasks = JoinSet<(&'static str, Result<()>)>;

/// Runs until told to stop, or until something that must run has ended.
pub(crate) async fn run(options: Options) -> Result<()> {
    let stop = CancellationToken::new();
    let metrics = Metrics::new();
    let mut config = Config::infer().await.context("find out how to reach the API server")?;
    config.connect_timeout = Some(CONNECT);
    let here = config.default_namespace.clone();
    let client = Client::try_from(config).context("make a client of the API server")?;
    let listener = TcpListener::bind(options.admin).await;
    let listener = listener.with_context(|| format!("listen on {} for the admin port", options.admin))?;
    tracing::info!(admin = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "starts");

    let (keeper, standing) = match options.lease {
        None => (None, Standing::alone()),
        Some((namespace, name)) => {
            // Unique to this process: one that comes back under its old name waits like everybody else.
            let me = format!("{}_{:016x}", options.instance, getrandom::u64().context("make a random name")?);
            let place = Place { namespace: namespace.unwrap_or(here), name, me };
            let (keeper, standing) = Keeper::new(client.clone(), place, metrics.clone());
            (Some(keeper), standing)
        }
    };
    let mut watches = Watches::new(client.clone(), options.namespace, metrics.clone());
    let shared = Shared {
        kinds: Kinds::new(&mut watches),
        warmth: watches.warmth(),
        writer: Writer::new(client.clone(), standing.clone(), metrics.clone()),
        recorder: Recorder::new(client.clone(), options.instance, standing.clone(), metrics.clone()),
        client,
        settings: Arc::new(options.settings),
        standing,
        metrics,
        stop: stop.clone(),
    };
    // One line each; it adds the watches that only it needs.
    let controllers = [
        reflectors::controller(&shared, &mut watches),
        peers::controller(&shared),
        fleets::controller(&shared),
    ];

    let mut tasks = Tasks::new();
    let health = admin::serve(listener, Arc::new(shared.clone()), shared.metrics.clone(), stop.clone());
    tasks.spawn(async move { ("admin", health.await.context("serve the admin port")) });
    let release = CancellationToken::new();
    if let Some(keeper) = keeper {
        let release = release.clone();
        tasks.spawn(async move { ("election", keeper.run(release).await.context("hold the Lease")) });
    }
    let ended = stop.clone();
    tasks.spawn(async move { ("watches", watch(watches, ended).await) });
    for (name, controller) in controllers {
        tasks.spawn(async move {
            controller.await;
            (name, Ok(()))
        });
    }
    until_the_end(tasks, stop, release).await
}

/// The watches go with the process: what a controller has begun needs no news to end.
async fn watch(watches: Watches, stop: CancellationToken) -> Result<()> {
    match stop.run_until_cancelled(watches.run()).await {
        None => Ok(()),
        Some(kind) => Err(anyhow::anyhow!("the watch of {kind} ended unasked")),
    }
}

/// `release` ends the election, when there is one.
async fn until_the_end(mut tasks: Tasks, stop: CancellationToken, release: CancellationToken) -> Result<()> {
    let mut term = signal(SignalKind::terminate()).context("handle SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("handle SIGINT")?;
    let failed = tokio::select! {
        _ = term.recv() => None,
        _ = int.recv() => None,
        ended = tasks.join_next() => Some(why(ended)),
    };
    tracing::info!("stops");
    stop.cancel();
    let rest = async {
        // The Lease goes last: whoever takes it over must not meet a write of ours that is still on its way.
        while tasks.len() > 1 {
            tasks.join_next().await;
        }
        release.cancel();
        while tasks.join_next().await.is_some() {}
    };
    if tokio::time::timeout(STOPPING, rest).await.is_err() {
        tracing::warn!("something did not end in time and is abandoned");
    }
    match failed {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

fn why(ended: Option<Result<(&'static str, Result<()>), tokio::task::JoinError>>) -> anyhow::Error {
    match ended {
        None => anyhow::anyhow!("nothing runs"),
        Some(Err(error)) => anyhow::Error::from(error).context("a task panicked"),
        Some(Ok((name, Ok(())))) => anyhow::anyhow!("the {name} task ended unasked"),
        Some(Ok((_, Err(error)))) => error,
    }
}
