//! Which data connections a session takes (pure but for a lock): one short table, asked once per connection.
//!
//! In: a proven Endpoint ID and a first frame. Out: a way into the session that this frame names, or a typed refusal. An
//! engine opens a tunnel when it prepares and closes it by dropping it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::EndpointId;
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::engine::Prepare;
use crate::engine::secrets::Secrets;
use crate::link::message::{Protocol, TestType};
use crate::reason::RefuseReason;

use super::Proof;
use super::hello::{Hello, Kind};
use super::stream::TunnelStream;

/// Numbers there are beyond twice the granted streams (for both directions at once): echo. Number 0, iperf3 control,
/// comes on top. Test: `a_session_takes_twice_its_streams_control_and_one_echo`.
const BEYOND_STREAMS: u32 = 1;

/// All sessions that take tunneled streams. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tunnels {
    table: Arc<Mutex<HashMap<Uuid, Entry>>>,
    fruitless: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Entry {
    token: Uuid,
    peer: EndpointId,
    secrets: Arc<Secrets>,
    test_type: TestType,
    protocol: Protocol,
    echo: bool,
    highest: u32,
    used: BTreeSet<u32>,
    arrivals: mpsc::Sender<Arrived>,
}

/// A stream of a session, as if it had been accepted on a port.
pub struct Arrived {
    /// 0 is iperf3 control.
    pub number: u32,
    /// What flows.
    pub kind: Kind,
    /// Behind its first frame and the answer to it.
    pub stream: TunnelStream,
    /// Its place among the connections of this process: dropped with the connection, not before.
    pub place: Box<dyn Send>,
}

/// A way into a session. Its number is used up, whatever becomes of the connection.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) arrivals: mpsc::Sender<Arrived>,
}

/// The engine's side. Dropping it refuses further streams; those that wait are closed with it.
#[derive(Debug)]
pub struct Tunnel {
    tunnels: Tunnels,
    test_id: Uuid,
    arrivals: mpsc::Receiver<Arrived>,
}

impl Tunnels {
    /// Takes streams of this session from now on.
    pub fn open(&self, what: &Prepare) -> Tunnel {
        let highest = what.streams.saturating_mul(2).saturating_add(BEYOND_STREAMS);
        // Each number comes once, so this many never wait in vain.
        let (sender, arrivals) = mpsc::channel(usize::try_from(highest).unwrap_or(1) + 1);
        let echo = what.test_type == TestType::UdpEcho || what.echo_allowed;
        let entry = Entry {
            token: what.token,
            peer: what.peer,
            secrets: Arc::clone(&what.secrets),
            test_type: what.test_type,
            protocol: what.protocol,
            echo,
            highest,
            used: BTreeSet::new(),
            arrivals: sender,
        };
        self.lock().insert(what.test_id, entry);
        Tunnel { tunnels: self.clone(), test_id: what.test_id, arrivals }
    }

    /// Decides about one connection. A test of somebody else looks like none: IDs cannot be probed.
    pub(super) fn admit(&self, peer: &EndpointId, hello: &Hello) -> Result<Way, RefuseReason> {
        let mut table = self.lock();
        let entry = table
            .get_mut(&hello.test_id)
            .filter(|entry| entry.peer == *peer)
            .ok_or(RefuseReason::UnknownTest)?;
        if !bool::from(entry.token.as_bytes().ct_eq(hello.token.as_bytes())) {
            return Err(RefuseReason::WrongToken);
        }
        if Proof::of(&entry.secrets, hello.test_id, hello.stream) != hello.proof {
            return Err(RefuseReason::WrongProof);
        }
        if !entry.grants(hello.kind, hello.stream) {
            return Err(RefuseReason::StreamNotGranted);
        }
        if !entry.used.insert(hello.stream) {
            return Err(RefuseReason::StreamTaken);
        }
        if hello.kind == Kind::Echo {
            entry.echo = false;
        }
        Ok(Way { number: hello.stream, kind: hello.kind, arrivals: entry.arrivals.clone() })
    }

    /// Connections that were ended because record after record of them had no data.
    pub fn fruitless(&self) -> u64 {
        self.fruitless.load(Ordering::Relaxed)
    }

    pub(super) fn count_of_fruitless(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.fruitless)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn grants(&self, kind: Kind, number: u32) -> bool {
        let throughput = self.test_type == TestType::Throughput;
        match kind {
            // Control is bytes, whatever it controls.
            Kind::Tcp if number == 0 => throughput,
            Kind::Tcp => throughput && self.protocol == Protocol::Tcp && number < self.highest,
            Kind::Udp => throughput && self.protocol == Protocol::Udp && (1..self.highest).contains(&number),
            // One, and then no more.
            Kind::Echo => (self.echo || self.used.contains(&number)) && (1..=self.highest).contains(&number),
        }
    }
}

impl Tunnel {
    /// The next stream, in the order they were let in. Cancel-safe. Never ends while the tunnel is open.
    pub async fn stream(&mut self) -> Option<Arrived> {
        self.arrivals.recv().await
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.tunnels.lock().remove(&self.test_id);
    }
}

impl std::fmt::Debug for Arrived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrived")
            .field("number", &self.number)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::engine::Placement;
    use crate::link::features::Features;

    fn id(n: u8) -> EndpointId {
        EndpointId::from_public_key([n; 32])
    }

    fn session(test_type: TestType, protocol: Protocol, echo_allowed: bool) -> Prepare {
        Prepare {
            test_id: Uuid::from_bytes([1; 16]),
            token: Uuid::from_bytes([2; 16]),
            peer: id(3),
            features: Features::NONE,
            secrets: Arc::new(Secrets { data: [4; 32], echo: [5; 64] }),
            placement: Placement::Tunneled,
            test_type,
            protocol,
            streams: 2,
            reverse: false,
            duration: Duration::from_secs(6),
            peer_addr: Ipv4Addr::LOCALHOST.into(),
            local_addr: Ipv4Addr::LOCALHOST.into(),
            echo_allowed,
            max_echo_pps: 7,
            max_rate: None,
        }
    }

    fn hello(what: &Prepare, stream: u32, kind: Kind) -> Hello {
        let proof = Proof::of(&what.secrets, what.test_id, stream);
        Hello { test_id: what.test_id, token: what.token, stream, kind, proof }
    }

    fn refused(tunnels: &Tunnels, peer: u8, hello: &Hello) -> RefuseReason {
        tunnels.admit(&id(peer), hello).unwrap_err()
    }

    /// E3
    #[test]
    fn only_the_peer_of_a_live_session_with_its_token_and_key_is_let_in() {
        let (tunnels, what) = (Tunnels::default(), session(TestType::Throughput, Protocol::Tcp, false));
        let good = hello(&what, 1, Kind::Tcp);
        assert_eq!(refused(&tunnels, 3, &good), RefuseReason::UnknownTest);
        let tunnel = tunnels.open(&what);
        assert_eq!(refused(&tunnels, 9, &good), RefuseReason::UnknownTest, "somebody else's looks like none");
        let token = Hello { token: what.test_id, ..good.clone() };
        assert_eq!(refused(&tunnels, 3, &token), RefuseReason::WrongToken);
        let other_number = Hello { stream: 2, ..good.clone() };
        assert_eq!(refused(&tunnels, 3, &other_number), RefuseReason::WrongProof);
        let secrets = Secrets { data: [9; 32], echo: [5; 64] };
        let other_key = Hello { proof: Proof::of(&secrets, what.test_id, 1), ..good.clone() };
        assert_eq!(refused(&tunnels, 3, &other_key), RefuseReason::WrongProof);
        assert!(tunnels.admit(&id(3), &good).is_ok());
        assert_eq!(refused(&tunnels, 3, &good), RefuseReason::StreamTaken);
        drop(tunnel);
        assert_eq!(refused(&tunnels, 3, &hello(&what, 2, Kind::Tcp)), RefuseReason::UnknownTest);
    }

    #[test]
    fn a_session_takes_twice_its_streams_control_and_one_echo() {
        for (test_type, protocol, echo, tcp, udp, echoes) in [
            (TestType::Throughput, Protocol::Tcp, true, 5, 0, 1),
            (TestType::Throughput, Protocol::Tcp, false, 5, 0, 0),
            (TestType::Throughput, Protocol::Udp, true, 1, 4, 1),
            (TestType::UdpEcho, Protocol::Tcp, false, 0, 0, 1),
        ] {
            let (tunnels, what) = (Tunnels::default(), session(test_type, protocol, echo));
            let _tunnel = tunnels.open(&what);
            let taken = |kind| {
                let numbers = (0..20).chain([u32::MAX]);
                numbers.filter(|n| tunnels.admit(&id(3), &hello(&what, *n, kind)).is_ok()).count()
            };
            assert_eq!(taken(Kind::Tcp), tcp, "{test_type:?} {protocol:?}");
            assert_eq!(taken(Kind::Udp), udp, "{test_type:?} {protocol:?}");
            assert_eq!(taken(Kind::Echo), echoes, "{test_type:?} {protocol:?}");
        }
    }
}
