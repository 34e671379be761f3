//! Health, readiness and metrics over plain HTTP, from the first moment, on leader and standby alike.
//!
//! In: a bound listener, the metrics, and whether the caches are warm. Out: `/livez`, `/readyz`, `/metrics`. Nothing
//! in here can change anything. `listener` bounds what a connection costs.

mod listener;
#[cfg(test)]
mod tests;

use std::future::IntoFuture;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use listener::BoundedListener;

/// What helps against a missing right.
const REMEDY: &str = "Apply the roles of this release; the operator tries again by itself.";

/// What is asked on each `/readyz`, and before each `/metrics`. Must not wait.
pub(crate) trait Health: Send + Sync + 'static {
    /// Kinds whose first list has not arrived, and why not where that is known. Ready means there is none.
    fn cold(&self) -> Vec<String>;
    /// Kinds that the API server does not let us see, at first or any more. Ready means there is none.
    fn forbidden(&self) -> Vec<&'static str>;
    /// Sets what is only known by asking.
    fn before_scrape(&self, metrics: &Metrics);
}

#[derive(Clone)]
struct Admin {
    health: Arc<dyn Health>,
    metrics: Metrics,
}

/// Answers until `stop`. The task that runs this is owned by `run`.
pub(crate) async fn serve(
    listener: TcpListener,
    health: Arc<dyn Health>,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = BoundedListener::new(listener, stop.clone());
    let routes = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(Admin { health, metrics });
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).into_future().await
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let (cold, forbidden) = (admin.health.cold(), admin.health.forbidden());
    if cold.is_empty() && forbidden.is_empty() {
        return "ok\n".into_response();
    }
    let waiting = (!cold.is_empty()).then(|| format!("waiting for the first list of: {}\n", cold.join(", ")));
    let kinds = forbidden.join(", ");
    let refused =
        (!forbidden.is_empty()).then(|| format!("not allowed to list or watch: {kinds}. {REMEDY}\n"));
    let why: String = waiting.into_iter().chain(refused).collect();
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn scrape(State(admin): State<Admin>) -> Response {
    admin.health.before_scrape(&admin.metrics);
    match admin.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "render metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
