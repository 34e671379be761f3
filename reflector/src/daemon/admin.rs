//! Answers the CLI. Each request is a few calls into the rooms; waiting requests have the caller's deadline.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::access::pairing::Pairing;
use crate::access::policy::Verdict;
use crate::access::{Access, KnownPeer};
use crate::admin::protocol::{LivePeer, Request, Response, RunningTest, Status};
use crate::admin::server::Handler;
use crate::audit::{Audit, Event, EventType};
use crate::clock;
use crate::engine::BoxFuture;
use crate::health::{HealthSource, Policy};
use crate::identity::{self, Current};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::server::Server;
use crate::session::{ActiveSession, Sessions};

use super::feeder::PolicyFrom;
use super::probe::Probe;
use super::recent::Recent;

/// Whoever asks what a revocation cut has written it down this long ago at most.
const JUST_NOW_MS: u64 = 5000;
/// Longest wait a command may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Life of a code made at start because `access.pairing_enabled` is set.
const START_TTL: Duration = Duration::from_secs(600);

/// What the CLI can reach.
pub(super) struct Desk {
    pub(super) server: Server,
    pub(super) sessions: Sessions,
    pub(super) access: Access,
    pub(super) pairing: Pairing,
    pub(super) audit: Audit,
    pub(super) ledger: Ledger,
    pub(super) metrics: Metrics,
    pub(super) identity: watch::Sender<Current>,
    pub(super) key_path: PathBuf,
    pub(super) pairing_path: PathBuf,
    pub(super) probe: Arc<Probe>,
    pub(super) listen: SocketAddr,
    pub(super) health_listen: SocketAddr,
    pub(super) position: &'static str,
    pub(super) recent: Recent,
    /// One rotation at a time.
    pub(super) rotating: tokio::sync::Mutex<()>,
    pub(super) policy_from: PolicyFrom,
}

/// A handler is shared; its answers outlive the call.
impl Handler for Desk {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<Response> {
        Box::pin(async move {
            match request {
                Request::Status => Response::Status(Box::new(self.status())),
                Request::OpenPairing { ttl_sec } => self.open_pairing(Duration::from_secs(ttl_sec)).await,
                Request::ClosePairing => self.close_pairing().await,
                Request::Peers => Response::Peers { peers: self.peers() },
                Request::RotateIdentity => self.rotate().await,
                Request::AwaitRevoked { endpoint_id, timeout_ms } => {
                    self.revoked(endpoint_id, timeout_ms).await
                }
                Request::AwaitAuthorised { endpoint_id, timeout_ms } => {
                    self.authorised(endpoint_id, timeout_ms).await
                }
                Request::AuditHead => {
                    let head = self.audit.head();
                    Response::AuditHead { seq: head.seq, hash: head.hash.to_string() }
                }
            }
        })
    }
}

impl Desk {
    /// A window for `access.pairing_enabled`, once the policy is there; one that survived the restart stays, with the code
    /// somebody may just be typing. The code is a secret, so the log says only where its owner finds it.
    pub(super) async fn open_at_start(&self) {
        let mut changes = self.access.changes();
        while !self.access.may_pair() {
            if changes.changed().await.is_err() {
                return;
            }
        }
        if !self.pairing.is_open()
            && let Response::Error { message } = self.open_pairing(START_TTL).await
        {
            tracing::warn!(%message, "pairing is enabled but no window could be opened");
            return;
        }
        tracing::warn!(
            code_in = %self.pairing_path.display(),
            expires_at = self.pairing.status().map(|open| tracing::field::display(open.expires_at)),
            "pairing is enabled in the configuration: a code that pairs one appliance is good now"
        );
    }

    fn status(&self) -> Status {
        let snapshot = self.probe.snapshot();
        Status {
            endpoint_id: self.identity.borrow().identity.id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_sec: snapshot.uptime_sec,
            listen_address: self.listen.to_string(),
            health_address: self.health_listen.to_string(),
            network_position: self.position.to_owned(),
            serving: snapshot.listener_up && snapshot.policy != Policy::NotLoaded && self.probe.can_record(),
            problems: snapshot.problems,
            connections: u32::try_from(self.server.connections()).unwrap_or(u32::MAX),
            active_tests: u32::try_from(self.sessions.active(None).len()).unwrap_or(u32::MAX),
            running: self.sessions.active(None).iter().map(running).collect(),
            last_tests: self.recent.list(),
            policy: self.access.status(),
            pairing: self.pairing.status(),
        }
    }

    fn peers(&self) -> Vec<LivePeer> {
        let running = self.sessions.active(None);
        let live = |peer: KnownPeer| {
            let id = peer.endpoint_id?;
            let usage = self.ledger.usage(&id).unwrap_or_default();
            let (limit, unlimited_on_loopback) = match self.access.verdict(&id) {
                Verdict::Allowed(policy) => {
                    (policy.quotas.bytes_per_day, policy.quotas.bytes_per_day_on_loopback.is_none())
                }
                Verdict::Refused(_) => (None, false),
            };
            Some(LivePeer {
                name: peer.name.to_string(),
                endpoint_id: id,
                state: peer.state.as_str().to_owned(),
                connections: u32::try_from(self.server.connections_of(&id)).unwrap_or(u32::MAX),
                active_tests: u32::try_from(running.iter().filter(|s| s.peer == id).count())
                    .unwrap_or(u32::MAX),
                tests_today: usage.tests_today,
                bytes_today: usage.bytes_today,
                bytes_remaining: usage.remaining(limit),
                unlimited_on_loopback,
                last_seen: usage.last_seen.and_then(|at| self.ledger.moment().as_wall(at)),
            })
        };
        self.access.peers().into_iter().filter_map(live).collect()
    }

    async fn open_pairing(&self, ttl: Duration) -> Response {
        if self.policy_from == PolicyFrom::ApiServer {
            return error(
                "in a cluster a ReflectorPeer without endpointId gets a code of its own: apply one",
            );
        }
        if !self.access.may_pair() {
            return error("the peers folder cannot be read, so nobody can be paired: see `reflector status`");
        }
        match self.pairing.open(ttl).await {
            Ok(opened) => {
                self.metrics.pairing_window(true);
                self.audit
                    .record(Event {
                        params: Some(serde_json::json!({ "ttl_sec": ttl.as_secs() })),
                        decision: Some("allowed"),
                        ..Event::new(EventType::PairingEnabled)
                    })
                    .await;
                Response::Pairing {
                    code: opened.code.to_string(),
                    expires_at: opened.expires_at,
                    endpoint_id: self.identity.borrow().identity.id(),
                }
            }
            Err(problem) => error(chain(&problem)),
        }
    }

    async fn close_pairing(&self) -> Response {
        match self.pairing.close().await {
            Ok(()) => {
                self.metrics.pairing_window(false);
                Response::Ok
            }
            Err(problem) => error(chain(&problem)),
        }
    }

    async fn rotate(&self) -> Response {
        let _one = self.rotating.lock().await;
        let old = Arc::clone(&self.identity.borrow().identity);
        let (path, now) = (self.key_path.clone(), clock::now().wall);
        let previous = Arc::clone(&old);
        let replaced = tokio::task::spawn_blocking(move || identity::replace(&path, &previous, now)).await;
        let (identity, statement, backup) = match replaced {
            Ok(Ok(replaced)) => replaced,
            Ok(Err(problem)) => return error(chain(&problem)),
            Err(problem) => return error(problem.to_string()),
        };
        let new = identity.id();
        match Current::new(identity, Some(statement), now) {
            Ok(current) => self.identity.send_replace(current),
            Err(problem) => return error(format!("{}: restart the reflector", chain(&problem))),
        };
        if let Err(problem) = self.server.present_new_identity() {
            return error(format!("{}: restart the reflector", chain(&problem)));
        }
        self.audit
            .record(Event {
                params: Some(serde_json::json!({ "old": old.id(), "new": new })),
                decision: Some("allowed"),
                ..Event::new(EventType::IdentityRotated)
            })
            .await;
        self.audit.set_endpoint_id(new);
        tracing::warn!(old = %old.id(), %new, "identity rotated");
        Response::Rotated { old: old.id(), new, backup: backup.display().to_string() }
    }

    async fn revoked(&self, id: EndpointId, timeout_ms: u64) -> Response {
        let wait = Duration::from_millis(timeout_ms).min(MAX_WAIT);
        let just_now = clock::now().mono_ms.saturating_sub(JUST_NOW_MS);
        if timeout(wait, self.server.gone(id)).await.is_err() {
            return error(format!(
                "{} is still connected or authorised after {} ms",
                id.short(),
                wait.as_millis()
            ));
        }
        let last = self.server.revocation_of(&id, just_now);
        Response::Revoked {
            connections: last.map_or(0, |cut| cut.connections),
            latency_ms: last.map_or(0.0, |cut| cut.latency_ms),
        }
    }

    async fn authorised(&self, id: EndpointId, timeout_ms: u64) -> Response {
        let wait = Duration::from_millis(timeout_ms).min(MAX_WAIT);
        let mut standing = self.access.subscribe(id);
        let allowed = standing.wait_for(|standing| matches!(standing.verdict, Verdict::Allowed(_)));
        match timeout(wait, allowed).await {
            Ok(Ok(_)) => Response::Ok,
            _ => error(format!(
                "{} is not authorised after {} ms: see `reflector status`",
                id.short(),
                wait.as_millis()
            )),
        }
    }
}

fn running(session: &ActiveSession) -> RunningTest {
    RunningTest {
        test_id: session.test_id,
        endpoint_id: session.peer,
        test_type: session.test_type,
        mode: session.mode,
        started_at: session.started_at,
        remaining_sec: session.remaining.as_secs(),
        bytes: session.bytes,
    }
}

fn error(message: impl Into<String>) -> Response {
    Response::Error { message: message.into() }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
