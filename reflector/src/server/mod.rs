//! The control port: accept, prove the key, ask policy, answer frames; one task per connection.
//!
//! In: a listener and handles to the other rooms. Out: grants, denials and typed endings, every one of them counted and
//! audited. This room holds connections and their limits; what a peer may do is decided in `access` and `session`.

mod answers;
#[cfg(test)]
pub(crate) mod bug;
mod connection;
mod crowd;
mod finish;
mod floor;
mod gate;
mod greeting;
mod hello;
pub mod limits;
mod listen;
mod liveness;
mod misuse;
mod pairing;
pub mod places;
pub(crate) mod rehearsal;
mod requests;
mod revocations;
mod shared;
mod streams;
mod wire;

pub use revocations::{Revocation, Revocations};
pub use shared::{Enrolled, Entrance, Phase, Roster, Services};

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use crds::EndpointId;
use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::ReflectorPolicy;
use crate::access::policy::Verdict;
use crate::link::features::Feature;
use crate::link::message::PolicySummary;
use crate::link::tls::{self, Alpn, TlsError};
use crate::metrics::Task;
use crate::network;
use crate::reason::RefuseReason;

use self::connection::Connection;
use self::floor::{Floor, Seat};
use self::gate::{Arrival, GateConfig};
use self::listen::{Action, Host, accept_loop};
use self::shared::Shared;

/// The control server. Clones share everything.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    gate: watch::Sender<Arc<GateConfig>>,
    phase: watch::Sender<Phase>,
    tasks: TaskTracker,
}

impl Server {
    /// A server that accepts nothing yet.
    pub fn new(services: Services) -> Result<Self, TlsError> {
        let phase = watch::Sender::new(Phase::Serving);
        let gate = watch::Sender::new(Arc::new(gate_config(&services)?));
        let shared = Shared {
            floor: Floor::new(services.metrics.clone()),
            phase: phase.subscribe(),
            revocations: Revocations::default(),
            itself: OnceLock::new(),
            services,
        };
        Ok(Self { shared: Arc::new(shared), gate, phase, tasks: TaskTracker::new() })
    }

    /// Takes connections of this ID, from this host, for our own. Its key is made for that and never leaves the process; the
    /// first ID stays.
    pub(crate) fn expect_itself(&self, id: EndpointId) {
        self.shared.itself.get_or_init(|| id);
    }

    /// Accepts until cancelled. An error means the listener itself broke.
    pub async fn accept(&self, listener: TcpListener, cancel: &CancellationToken) -> io::Result<()> {
        accept_loop(listener, self, cancel).await
    }

    /// The identity changed: new connections get the new certificate, live ones go on.
    pub fn present_new_identity(&self) -> Result<(), TlsError> {
        self.gate.send_replace(Arc::new(gate_config(&self.shared.services)?));
        Ok(())
    }

    /// Follows how far the process is on its way out.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Tells every connection how far the process is on its way out.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Resolves when every connection is gone. Nothing may be accepted any more.
    pub async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Open connections, half-open ones included.
    pub fn connections(&self) -> usize {
        self.shared.floor.total()
    }

    /// Open connections of one ID.
    pub fn connections_of(&self, id: &EndpointId) -> usize {
        self.shared.floor.of(id)
    }

    /// Resolves when this ID is refused and none of its connections is left.
    pub async fn gone(&self, id: EndpointId) {
        let mut standing = self.shared.services.access.subscribe(id);
        let mut departures = self.shared.floor.departures();
        loop {
            let refused = matches!(standing.borrow_and_update().verdict, Verdict::Refused(_));
            if refused && self.shared.floor.all_of(&id) == 0 {
                return;
            }
            tokio::select! {
                changed = standing.changed() => if changed.is_err() { return },
                changed = departures.changed() => if changed.is_err() { return },
            }
        }
    }

    /// What cutting this ID off took, if policy did so since then.
    pub fn revocation_of(&self, id: &EndpointId, since_mono_ms: u64) -> Option<Revocation> {
        self.shared.revocations.of(id, since_mono_ms)
    }
}

impl Host for Server {
    fn welcome(&self, stream: TcpStream, from: SocketAddr) {
        self.shared.services.metrics.connection_opened();
        let from = network::normalise_socket(from);
        let seat = self.shared.floor.enter(network::source_key(from.ip()));
        let gate = Arc::clone(&self.gate.borrow());
        let life = attend(stream, from, seat, gate, Arc::clone(&self.shared));
        let metrics = self.shared.services.metrics.clone();
        // A bug in one connection ends that one; its guards free place and sessions. Not an async block around it: that
        // would hold the task twice, before and after its first poll.
        self.tasks.spawn(AssertUnwindSafe(life).catch_unwind().map(move |ended| {
            if ended.is_err() {
                metrics.task_panicked(Task::Connection);
            }
        }));
    }

    fn trouble(&self, error: &io::Error, action: Action) {
        match action {
            Action::Next => self.shared.services.metrics.accept_error(crate::metrics::AcceptError::Network),
            Action::MakeRoom(kind) => {
                self.shared.services.metrics.accept_error(kind);
                self.shared.floor.make_room();
            }
            Action::GiveUp => tracing::error!(%error, "the control listener is broken"),
        }
    }
}

/// What a peer without limits of its own would be told.
pub fn summary_of(reflector: &ReflectorPolicy) -> PolicySummary {
    answers::policy_summary(&reflector.quotas, reflector.total_concurrent_tests)
}

fn gate_config(services: &Services) -> Result<GateConfig, TlsError> {
    let current = services.identity.borrow();
    let tls = tls::server_config(&current.credentials, &[Alpn::Link])?;
    let tunnels = services.features.has(Feature::Tunnel);
    let data = tunnels.then(|| tls::server_config(&current.credentials, &[Alpn::Data])).transpose()?;
    Ok(GateConfig { tls, require_alpn: services.require_alpn, data })
}

/// The life of one socket.
async fn attend(
    stream: TcpStream,
    remote: SocketAddr,
    seat: Seat,
    gate: Arc<GateConfig>,
    shared: Arc<Shared>,
) {
    let local = match prepare(&stream) {
        Ok(local) => network::normalise_socket(local),
        // The peer was gone before we looked.
        Err(_) => return,
    };
    let arrival = tokio::select! {
        biased;
        () = seat.evicted.cancelled() => Arrival::refused(RefuseReason::Crowded),
        // Boxed here and at the end, so that their state takes room only while they last.
        arrival = Box::pin(gate::enter(stream, remote.ip(), &gate, &shared)) => arrival,
    };
    match arrival {
        Arrival::Refused(refused) => finish::refused(&shared, remote, &refused),
        Arrival::Plain(stream, pass) => {
            if let Err(refused) = streams::plain(stream, remote, seat, pass, &shared.services.doors) {
                finish::refused(&shared, remote, &refused);
            }
        }
        Arrival::Tunneled(stream) => {
            if let Err(refused) = Box::pin(streams::tunneled(stream, seat, &shared.services)).await {
                finish::refused(&shared, remote, &refused);
            }
        }
        Arrival::Proven(stream, peer) if rehearsal::is_ours(shared.itself.get(), &peer, (remote, local)) => {
            Box::pin(rehearsal::serve(*stream, seat, local, &shared)).await;
        }
        Arrival::Proven(stream, peer) => {
            let mut connection = Connection::new(*stream, seat, peer, (remote, local), shared);
            let ending = connection.serve().await;
            Box::pin(finish::connection(connection, ending)).await;
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    stream.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<A, B, C, D, E, Life>(_: impl Fn(A, B, C, D, E) -> Life) -> usize {
        size_of::<Life>()
    }

    /// A buffer or a second copy of a connection slips into a task unseen, and is paid for by every connection.
    #[test]
    fn a_connection_that_waits_takes_a_few_kibibytes() {
        let bytes = bytes(attend);
        assert!(bytes <= 6 * 1024, "the task of a connection has {bytes} bytes");
    }
}
