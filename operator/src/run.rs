//! Puts the program together: what runs, who owns it, and how it ends.
//!
//! Health first, so that a standby and a starting operator can be told apart from a dead one; then the election; then
//! the controller. A task that ends unasked ends the process: whoever restarts it is better at it than we are.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::stream;
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::backoff::Backoff;
use crate::lease::{Keeper, Place, Standing};
use crate::metrics::Metrics;
use crate::reflectors::{self, Context, Scope, Settings};
use crate::writing::{Recorder, Writer};

/// Connecting, and each answer to a request that is no watch, has deadlines of its own; this one is for the rest.
const CONNECT: Duration = Duration::from_secs(10);
/// How long what was begun may take when asked to stop. Above the deadline of any request.
const STOPPING: Duration = Duration::from_secs(20);

/// What the command line says.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) scope: Scope,
    pub(crate) admin: SocketAddr,
    /// Take part in an election: the Lease's namespace, when it is not our own, and its name.
    pub(crate) lease: Option<(Option<String>, String)>,
    /// Who writes events and holds the Lease.
    pub(crate) instance: String,
    pub(crate) settings: Settings,
}

/// Runs until told to stop, or until something that must run has ended.
pub(crate) async fn run(options: Options) -> Result<()> {
    let stop = CancellationToken::new();
    let metrics = Metrics::new();
    let mut config = Config::infer().await.context("find out how to reach the API server")?;
    config.connect_timeout = Some(CONNECT);
    let here = config.default_namespace.clone();
    let client = Client::try_from(config).context("make a client of the API server")?;
    let (caches, controller) = reflectors::watch(&client, &options.scope, &metrics);

    let listener = TcpListener::bind(options.admin).await;
    let listener = listener.with_context(|| format!("listen on {} for the admin port", options.admin))?;
    tracing::info!(admin = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "starts");

    let mut tasks = JoinSet::<(&str, Result<()>)>::new();
    {
        let (caches, metrics, stop) = (caches.clone(), metrics.clone(), stop.clone());
        tasks.spawn(async move {
            ("admin", admin::serve(listener, caches, metrics, stop).await.context("serve the admin port"))
        });
    }
    let standing = match options.lease {
        None => Standing::alone(),
        Some((namespace, name)) => {
            let namespace = namespace.unwrap_or(here);
            // Unique to this process: one that comes back under its old name waits like everybody else.
            let me = format!("{}_{:016x}", options.instance, getrandom::u64().context("make a random name")?);
            let place = Place { namespace, name, me };
            let (keeper, standing) = Keeper::new(client.clone(), place, metrics.clone());
            let stop = stop.clone();
            tasks.spawn(async move { ("election", keeper.run(stop).await.context("hold the Lease")) });
            standing
        }
    };
    {
        let context = Arc::new(Context {
            writer: Writer::new(client.clone(), standing.clone(), metrics.clone()),
            recorder: Recorder::new(client.clone(), options.instance, standing.clone(), metrics.clone()),
            client,
            caches,
            standing: standing.clone(),
            settings: options.settings,
            metrics,
            backoff: Mutex::new(Backoff::new()),
        });
        // Once: whoever loses the Lease again ends.
        let mut waiting = standing;
        let won = stream::once(async move { waiting.won().await });
        let stop = stop.clone();
        tasks.spawn(async move {
            reflectors::run(controller, context, won, stop).await;
            ("controller", Ok(()))
        });
    }
    until_the_end(tasks, stop).await
}

async fn until_the_end(
    mut tasks: JoinSet<(&'static str, Result<()>)>,
    stop: CancellationToken,
) -> Result<()> {
    let mut term = signal(SignalKind::terminate()).context("handle SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("handle SIGINT")?;
    let failed = tokio::select! {
        _ = term.recv() => None,
        _ = int.recv() => None,
        ended = tasks.join_next() => Some(why(ended)),
    };
    tracing::info!("stops");
    stop.cancel();
    let rest = async { while tasks.join_next().await.is_some() {} };
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
