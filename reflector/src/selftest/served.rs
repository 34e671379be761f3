//! A throughput test as a peer would run it, over 127.0.0.1 in this process: admission, engine, tunnel and client are those of
//! `reflector serve` and `reflector test`; only the control connection between them is left out.
//!
//! The ledger is in memory, ports and threads are gone when a measurement returns.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::policy::{Policy, Quotas};
use crate::client::throughput::{Direct, Setup, run};
use crate::client::tunnel::Tunnel;
use crate::clock;
use crate::config::NetworkMode;
use crate::engine::door::Doors;
use crate::engine::evidence::Real;
use crate::engine::iperf::Parameters;
use crate::engine::secrets::Secrets;
use crate::engine::site::Site;
use crate::engine::throughput::Throughput;
use crate::engine::tunnel::{Credentials, Tunnels, accept};
use crate::identity::{Current, Identity};
use crate::ledger::Ledger;
use crate::link::features::{Feature, Features};
use crate::link::message::{Mode, Protocol, SessionGrant, SessionParams, TestType};
use crate::link::tls::{Alpn, server_config};
use crate::reason::EndReason;
use crate::session::{
    Denial, Granted, Observer, Parts, Peer, Requester, Routes, SessionRecord, Sessions, Ticket,
};

use super::host::{Error, Measured};

/// An appliance's own tests use four.
const STREAMS: u32 = 4;

/// Enough to see that the engine serves a whole test.
const SOME_BYTES: u64 = 4 * 1024 * 1024;

/// A test of a few seconds on loopback that takes this long hangs.
const STUCK: Duration = Duration::from_secs(20);

/// Connections to the tunnel's port in all: five are ours. Whoever is on this host can make the test fail, and no more.
/// Test: `strangers_cost_a_tunnelled_test_64_connections_at_most`.
const MOST_CONNECTIONS: usize = 64;

/// How much to move.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// As much as goes in so many seconds.
    Seconds(u32),
    /// So much, which shows that data moves.
    Some,
}

/// Which way it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To a port of its own.
    Direct,
    /// Each stream in TLS.
    Tunneled,
}

/// Long enough for TCP to open its windows many times over.
pub(super) const FULL: Load = Load::Seconds(3);

/// Mbit/s that arrived, all streams together.
pub(super) fn measure(load: Load, way: Way) -> Measured<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::Io { action: "start a runtime", source })?;
    let served = async { timeout(STUCK, serve_one(load, way)).await.map_err(|_| broken("it hangs"))? };
    let ended = runtime.block_on(served)?;
    ended.mbps().map(Real::value).ok_or_else(|| broken("it moved nothing"))
}

async fn serve_one(load: Load, way: Way) -> Measured<SessionRecord> {
    let tunnels = Tunnels::default();
    let sessions = sessions(tunnels.clone())?;
    let us = identity()?;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Granted { grant, ended } = request(&sessions, us.identity.id(), here, way).await?;
    let (time, bytes) = match load {
        Load::Seconds(seconds) => (seconds, 0),
        Load::Some => (0, SOME_BYTES),
    };
    let parameters = Parameters { time, bytes, parallel: STREAMS, ..Parameters::default() };
    let setup = Setup { parameters, local: Some(here), peer_discards: true };
    let stop = CancellationToken::new();
    let test = match way {
        Way::Direct => {
            let carrier = Direct { to: SocketAddr::new(here, grant.port), from: Some(here) };
            run(&setup, &carrier, &stop, &mut |_| {}).await
        }
        Way::Tunneled => {
            let entrance = Entrance::open(here, &us, tunnels).await?;
            let carrier = entrance.carrier(&us, &grant)?;
            run(&setup, &carrier, &stop, &mut |_| {}).await
        }
    };
    sessions.drain(Duration::ZERO).await;
    test.map_err(|error| broken(&error.to_string()))?;
    let record = ended.await.map_err(|_| broken("its session was lost"))?;
    match record.reason() {
        EndReason::Completed => Ok(record),
        reason => Err(broken(reason.as_str())),
    }
}

/// A port that takes tunneled streams, and nothing else. Dropping it closes it.
struct Entrance {
    at: SocketAddr,
    _taking: JoinSet<()>,
}

impl Entrance {
    async fn open(here: IpAddr, us: &Current, tunnels: Tunnels) -> Measured<Self> {
        let io = |source| Error::Io { action: "listen on loopback", source };
        let listener = TcpListener::bind((here, 0)).await.map_err(io)?;
        let at = listener.local_addr().map_err(io)?;
        let config =
            server_config(&us.credentials, &[Alpn::Data]).map_err(|error| broken(&error.to_string()))?;
        let mut taking = JoinSet::new();
        taking.spawn(async move {
            let mut streams = JoinSet::new();
            for _ in 0..MOST_CONNECTIONS {
                let Ok((tcp, _)) = listener.accept().await else { break };
                let (config, tunnels) = (Arc::clone(&config), tunnels.clone());
                streams.spawn(async move {
                    if let Ok(welcome) = accept(tcp, &[], config, &tunnels).await {
                        // Whoever did not get in says so: the test fails.
                        let _ = welcome.hand_over(Box::new(())).await;
                    }
                });
            }
            drop(listener);
            while streams.join_next().await.is_some() {}
        });
        Ok(Self { at, _taking: taking })
    }

    fn carrier(&self, us: &Current, grant: &SessionGrant) -> Measured<Tunnel> {
        let secrets = Secrets::export(grant.test_id, NO_KEYS).map_err(|never| match never {})?;
        let token = grant.token.parse().map_err(|_| broken("its token is none"))?;
        let credentials = Credentials { test_id: grant.test_id, token, secrets: Arc::new(secrets) };
        Tunnel::to(self.at, us, us.identity.id(), credentials).map_err(|error| broken(&error.to_string()))
    }
}

/// One key on both sides: nobody else is there.
fn identity() -> Measured<Current> {
    let identity = Identity::generate().map_err(|error| broken(&error.to_string()))?;
    Current::new(identity, None, clock::now().wall).map_err(|error| broken(&error.to_string()))
}

/// How keys are derived from a control connection.
type Export = fn(&mut [u8], &[u8], Option<&[u8]>) -> Result<(), Infallible>;

/// Without a control connection there is nothing to derive keys from. Both sides agree on none, and TLS has its own.
const NO_KEYS: Export = |_, _, _| Ok(());

fn sessions(tunnels: Tunnels) -> Measured<Sessions> {
    let clock: crate::ledger::Clock = Arc::new(clock::now);
    let ledger = Ledger::in_memory(Arc::clone(&clock)).map_err(|error| broken(&error.to_string()))?;
    let site = Site {
        // Nothing comes in there: the data has a port of its own.
        control_port: 0,
        data_ports: None,
        doors: Doors::default(),
        tunnels,
    };
    Ok(Sessions::new(Parts {
        ledger,
        engines: vec![Arc::new(Throughput::new(site))],
        observer: Arc::new(Nobody),
        clock,
        windows: Arc::new(|_, _| None),
        routes: Routes { mode: NetworkMode::Auto, data_ports: true, plain_on_control_port: false },
    }))
}

async fn request(sessions: &Sessions, id: EndpointId, here: IpAddr, way: Way) -> Measured<Granted> {
    let requester = Requester::new(Peer {
        id,
        source: here,
        local: here,
        features: Features::of(&[Feature::Tunnel]),
        silence: Arc::new(|| Duration::ZERO),
    });
    let ticket = Ticket::new(NO_KEYS).map_err(|never| match never {})?;
    let params = SessionParams {
        duration_sec: STUCK.as_secs(),
        protocol: Some(Protocol::Tcp),
        streams: Some(STREAMS),
        reverse: Some(false),
        mode: Some(match way {
            Way::Direct => Mode::DirectEphemeral,
            Way::Tunneled => Mode::Tunneled,
        }),
    };
    let granted =
        sessions.request(&requester, ticket, &Arc::new(policy()), TestType::Throughput, &params).await;
    granted.map_err(|denied| broken(&denied.to_string()))
}

/// Allows this one test.
fn policy() -> Policy {
    Policy {
        peer: Arc::from("self-test"),
        display_name: None,
        quotas: Quotas {
            max_test_duration: STUCK,
            max_concurrent_tests: 1,
            tests_per_hour: 1,
            bytes_per_day: None,
            bytes_per_day_on_loopback: None,
            cooldown: Duration::ZERO,
            allow_throughput: true,
            allow_udp_echo: false,
            default_streams: STREAMS,
            max_streams: STREAMS,
            max_echo_pps: 0,
            max_rate: None,
        },
        total_concurrent_tests: 1,
        windows: Arc::from([]),
        expires_at: None,
        reflector_suspended: false,
    }
}

fn broken(what: &str) -> Error {
    Error::Engine(what.to_owned())
}

/// A self-test is nobody's session: no audit, no metrics.
struct Nobody;

impl Observer for Nobody {
    fn granted(&self, _: &SessionRecord) {}
    fn denied(&self, _: &Denial<'_>) {}
    fn ended(&self, _: &SessionRecord) {}
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn strangers_cost_a_tunnelled_test_64_connections_at_most() {
        let us = identity().unwrap();
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let entrance = Entrance::open(here, &us, Tunnels::default()).await.unwrap();
        let mut strangers = Vec::new();
        for _ in 0..MOST_CONNECTIONS {
            strangers.push(TcpStream::connect(entrance.at).await.unwrap());
        }
        // The listener closes behind the last: whoever comes then, or waited, is refused.
        let more = async {
            while let Ok(mut more) = TcpStream::connect(entrance.at).await {
                if more.read(&mut [0]).await.is_err() {
                    break;
                }
            }
        };
        timeout(STUCK, more).await.unwrap();
    }

    /// S1, X8: red when the engine, its client or what is between them does not work.
    #[test]
    fn the_engine_serves_a_whole_test_over_loopback() {
        for way in [Way::Direct, Way::Tunneled] {
            let mbps = measure(Load::Some, way).unwrap();
            assert!(mbps.is_finite() && mbps > 0.0, "{way:?}: {mbps}");
        }
    }
}
