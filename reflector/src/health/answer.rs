//! What the health port says. Pure: values in, a response out.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use serde::Serialize;

use crate::metrics::RenderError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The version of Prometheus' text format.
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// How far the policy can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// None is in force.
    NotLoaded,
    /// One is, but its source has been away for a while. We go on serving and are not ready: a pod that is cut off from its
    /// API server has no other way to say so.
    Old,
    /// It is what its source holds, or was so a moment ago.
    Current,
}

/// How the reflector stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The key is loaded.
    pub identity_loaded: bool,
    /// The control port accepts connections.
    pub listener_up: bool,
    /// Whose policy is in force.
    pub policy: Policy,
    /// Seconds since start.
    pub uptime_sec: u64,
    /// Parts that are down although we serve: one sentence each, with what to do. No names of peers, no addresses:
    /// anybody may read this.
    pub problems: Vec<String>,
}

impl Snapshot {
    /// What keeps us from serving.
    fn missing(&self) -> impl Iterator<Item = &'static str> {
        let parts = [
            (self.identity_loaded, "identity not loaded"),
            (self.listener_up, "listener not up"),
            (self.policy != Policy::NotLoaded, "no policy loaded"),
        ];
        parts.into_iter().filter(|(there, _)| !there).map(|(_, name)| name)
    }
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    version: &'static str,
    /// Load average of the last minute.
    load: f64,
    uptime_sec: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// Always 200: whoever reads the body sees the status; probes have their own pages.
pub(super) fn health(snapshot: Snapshot, load_avg: [f64; 3]) -> Response<Body> {
    let mut problems: Vec<String> = snapshot.missing().map(str::to_owned).collect();
    problems.extend(snapshot.problems);
    let [load, ..] = load_avg;
    let report = Report {
        status: if problems.is_empty() { "ok" } else { "degraded" },
        version: env!("CARGO_PKG_VERSION"),
        load,
        uptime_sec: snapshot.uptime_sec,
        problems,
    };
    match serde_json::to_string(&report) {
        Ok(body) => respond(StatusCode::OK, JSON, body + "\n"),
        Err(error) => broken(&error),
    }
}

pub(super) fn live(answered: bool) -> Response<Body> {
    if answered {
        respond(StatusCode::OK, TEXT, "alive\n")
    } else {
        respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not alive: core tasks do not answer\n")
    }
}

pub(super) fn ready(snapshot: &Snapshot) -> Response<Body> {
    let mut missing: Vec<&str> = snapshot.missing().collect();
    if snapshot.policy == Policy::Old {
        missing.push("policy not current");
    }
    if missing.is_empty() {
        respond(StatusCode::OK, TEXT, "ready\n")
    } else {
        respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {}\n", missing.join(", ")))
    }
}

pub(super) fn metrics(text: Result<String, RenderError>) -> Response<Body> {
    match text {
        Ok(text) => respond(StatusCode::OK, PROMETHEUS, text),
        Err(error) => broken(&error),
    }
}

pub(super) fn metrics_are_private() -> Response<Body> {
    let why = "metrics name peers and answer private sources only: ask from the local network, \
               or set network.metrics_public = true\n";
    respond(StatusCode::FORBIDDEN, TEXT, why)
}

pub(super) fn not_found() -> Response<Body> {
    respond(StatusCode::NOT_FOUND, TEXT, "try /health, /livez, /readyz or /metrics\n")
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Response<Body> {
    tracing::error!(error, "answer on the health port");
    respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "internal error: see the log\n")
}

fn respond(status: StatusCode, kind: HeaderValue, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
