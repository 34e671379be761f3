//! Health over plain HTTP on a port of its own, for people, the kubelet and Prometheus.
//!
//! In: a [`HealthSource`], which the daemon implements, and a bound listener. Out: `/health`, `/livez`, `/readyz`,
//! `/metrics`. Anybody may knock here, so `listener` bounds what a connection costs, and nothing in here can change
//! anything.

mod answer;
mod crowd;
mod listener;
#[cfg(test)]
mod tests;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use axum::routing::get;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::engine::BoxFuture;
use crate::engine::path;
use crate::metrics::Metrics;
use crate::network;

pub use answer::{Policy, Snapshot};
use listener::BoundedListener;

/// How long the core tasks may take to answer `/livez`. The kubelet gives up after one second by default; an answer
/// that comes later says less than one that says no. Test: `a_core_task_that_hangs_fails_livez_and_nothing_else`.
const PING_DEADLINE: Duration = Duration::from_millis(800);

/// What the daemon tells about itself.
pub trait HealthSource: Send + Sync + 'static {
    /// How things stand. Must not wait: it reads values that are kept current.
    fn snapshot(&self) -> Snapshot;
    /// Resolves when every core task (accept, policy, ledger) has answered; hangs when one does.
    fn ping(&self) -> BoxFuture<()>;
    /// Called before each answer of `/metrics`, for numbers that are only known by asking.
    fn before_scrape(&self, metrics: &Metrics);
}

/// Who may read `/metrics`: it names peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Loopback, private, link-local and unique-local sources.
    Local,
    /// Everybody (`network.metrics_public`).
    Public,
}

#[derive(Clone)]
struct Health {
    source: Arc<dyn HealthSource>,
    metrics: Metrics,
    access: MetricsAccess,
}

#[derive(Debug, Clone, Copy)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, BoundedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Answers until `cancel`; then every connection is closed. The daemon owns the task that runs this.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn HealthSource>,
    metrics: Metrics,
    access: MetricsAccess,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let listener = BoundedListener::new(listener, metrics.clone(), cancel.clone());
    let routes = Router::new()
        .route("/health", get(health))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .fallback(async || answer::not_found())
        .with_state(Health { source, metrics, access })
        .into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, routes).with_graceful_shutdown(cancel.cancelled_owned()).into_future().await
}

async fn health(State(state): State<Health>) -> Response {
    answer::health(state.source.snapshot(), path::load_avg())
}

async fn livez(State(state): State<Health>) -> Response {
    answer::live(tokio::time::timeout(PING_DEADLINE, state.source.ping()).await.is_ok())
}

async fn readyz(State(state): State<Health>) -> Response {
    answer::ready(&state.source.snapshot())
}

async fn scrape(State(state): State<Health>, ConnectInfo(Peer(from)): ConnectInfo<Peer>) -> Response {
    if state.access == MetricsAccess::Local && !network::is_local(from.ip()) {
        return answer::metrics_are_private();
    }
    state.source.before_scrape(&state.metrics);
    answer::metrics(state.metrics.render())
}
