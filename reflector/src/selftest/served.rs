//! A throughput test as a peer would run it, over 127.0.0.1 in this process: admission, engine and client are those of
//! `reflector serve` and `reflector test`; only the link between them is left out.
//!
//! The ledger is in memory, ports and threads are gone when a measurement returns.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::policy::{Policy, Quotas};
use crate::client::throughput::{Direct, Setup, run};
use crate::clock;
use crate::config::NetworkMode;
use crate::engine::door::Doors;
use crate::engine::evidence::Real;
use crate::engine::iperf::Parameters;
use crate::engine::site::Site;
use crate::engine::throughput::Throughput;
use crate::engine::tunnel::Tunnels;
use crate::ledger::Ledger;
use crate::link::features::Features;
use crate::link::message::{Protocol, SessionParams, TestType};
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

/// How much to move.
#[derive(Debug, Clone, Copy)]
pub(super) enum Load {
    /// As much as goes in so many seconds.
    Seconds(u32),
    /// So much, which shows that data moves.
    Some,
}

/// Long enough for TCP to open its windows many times over.
pub(super) const FULL: Load = Load::Seconds(3);

/// Mbit/s that arrived, all streams together.
pub(super) fn measure(load: Load) -> Measured<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::Io { action: "start a runtime", source })?;
    let ended =
        runtime.block_on(async { timeout(STUCK, serve_one(load)).await.map_err(|_| broken("it hangs"))? })?;
    ended.mbps().map(Real::value).ok_or_else(|| broken("it moved nothing"))
}

async fn serve_one(load: Load) -> Measured<SessionRecord> {
    let sessions = sessions()?;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let Granted { grant, ended } = request(&sessions, here).await?;
    let (time, bytes) = match load {
        Load::Seconds(seconds) => (seconds, 0),
        Load::Some => (0, SOME_BYTES),
    };
    let parameters = Parameters { time, bytes, parallel: STREAMS, ..Parameters::default() };
    let setup = Setup { parameters, local: Some(here), peer_discards: true };
    let carrier = Direct { to: SocketAddr::new(here, grant.port), from: Some(here) };
    let test = run(&setup, &carrier, &CancellationToken::new(), &mut |_| {}).await;
    sessions.drain(Duration::ZERO).await;
    test.map_err(|error| broken(&error.to_string()))?;
    let record = ended.await.map_err(|_| broken("its session was lost"))?;
    match record.reason() {
        EndReason::Completed => Ok(record),
        reason => Err(broken(reason.as_str())),
    }
}

fn sessions() -> Measured<Sessions> {
    let clock: crate::ledger::Clock = Arc::new(clock::now);
    let ledger = Ledger::in_memory(Arc::clone(&clock)).map_err(|error| broken(&error.to_string()))?;
    let site = Site {
        // Nothing comes in there: the data has a port of its own.
        control_port: 0,
        data_ports: None,
        doors: Doors::default(),
        tunnels: Tunnels::default(),
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

async fn request(sessions: &Sessions, here: IpAddr) -> Measured<Granted> {
    let requester = Requester::new(Peer {
        id: EndpointId::from_public_key([0; 32]),
        source: here,
        local: here,
        features: Features::NONE,
        silence: Arc::new(|| Duration::ZERO),
    });
    let ticket = Ticket::new(|_, _, _| Ok::<(), Infallible>(())).map_err(|never| match never {})?;
    let params = SessionParams {
        duration_sec: STUCK.as_secs(),
        protocol: Some(Protocol::Tcp),
        streams: Some(STREAMS),
        reverse: Some(false),
        mode: None,
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
    use super::*;

    /// S1: red when the engine, its client or what is between them does not work.
    #[test]
    fn the_engine_serves_a_whole_test_over_loopback() {
        let mbps = measure(Load::Some).unwrap();
        assert!(mbps.is_finite() && mbps > 0.0, "{mbps}");
    }
}
