//! From a phase of the plan to an outcome: asks for a session, runs it on the way that works, hears what it came to.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::echo::{self, Beside, Found};
use super::error::LinkError;
use super::link::Link;
use super::plan::{Direction, Phase, Route};
use super::run::{Event, RunError, Show};
use super::throughput::{self, Carrier, Direct, Ending, Outcome, Setup, ThroughputError, Tick};
use super::tunnel::Tunnel;
use crate::engine::echo::wire::Keys;
use crate::engine::iperf::{Parameters, Transport};
use crate::identity::Current;
use crate::link::features::Feature;
use crate::link::message::{Mode, Protocol, SessionGrant, SessionParams, SessionResult, TestType};
use crate::reason::DenyReason;

/// Longest wait for our own cooldown, or for our last test to end. Somebody else's test is not waited for: a person
/// decides that.
const WAIT: Duration = Duration::from_secs(15);
/// How often a wait may turn out too short.
const TRIES: u32 = 3;
/// For the reflector's word on a session that has ended here.
const RESULT: Duration = Duration::from_secs(5);
/// For a test to end by itself when the control connection is gone: data dies with it.
const LINK_LOST: Duration = Duration::from_secs(1);
/// What a stock client sends over Ethernet: as much as TCP with time stamps has in a segment. By IPv4 and IPv6.
const DATAGRAM: (u32, u32) = (1448, 1428);

/// A session from its grant to its result.
pub(super) struct Session {
    pub(super) grant: SessionGrant,
    pub(super) outcome: Outcome,
    pub(super) result: Option<SessionResult>,
    /// Echo before the load.
    pub(super) idle: Option<Found>,
    /// Echo during it.
    pub(super) loaded: Option<Found>,
}

/// Runs a phase against a reflector.
pub(super) async fn run(
    link: &mut Link,
    us: &Current,
    phase: &Phase,
    stop: &CancellationToken,
    show: &mut Show<'_>,
) -> Result<Session, RunError> {
    if phase.route != Route::Tunneled {
        match attempt(link, us, phase, Mode::DirectEphemeral, stop, show).await {
            Err(failed) if phase.route == Route::PreferDirect && link.has(Feature::Tunnel) => {
                let Some(why) = failed.blocked() else { return Err(failed) };
                show(Event::FellBack { why });
            }
            done => return done,
        }
    }
    attempt(link, us, phase, Mode::Tunneled, stop, show).await
}

async fn attempt(
    link: &mut Link,
    us: &Current,
    phase: &Phase,
    mode: Mode,
    stop: &CancellationToken,
    show: &mut Show<'_>,
) -> Result<Session, RunError> {
    let grant = granted(link, phase, mode, stop, show).await?;
    let direct = Direct::beside(link.remote(), grant.port, link.local());
    let tunnel = match grant.mode {
        Mode::DirectEphemeral => None,
        Mode::Tunneled => Some(Tunnel::new(link, us, &grant)?),
    };
    let carrier: &dyn Carrier = match &tunnel {
        None => &direct,
        Some(tunnel) => tunnel,
    };
    show(Event::Begins { phase, mode: grant.mode });
    let mut setup = Setup { local: Some(link.local().ip()), ..setup(phase, link.remote().ip(), true) };
    pace(&mut setup.parameters, grant.max_rate);
    let way = match &tunnel {
        None => echo::Way::Direct(direct),
        Some(tunnel) => echo::Way::Tunnel(tunnel, setup.parameters.streams() + 1),
    };
    let keys = Keys::new(&link.secrets(grant.test_id)?.echo, grant.test_id);
    let mut echo = Beside::start(phase, way, keys, stop).await.map_err(ThroughputError::Echo)?;
    let mut tick = |mut tick: Tick<'_>| {
        echo.follow(tick.stage);
        tick.rtt = echo.rtt().or(tick.rtt);
        show(Event::Tick { phase, tick });
    };
    let outcome = beside(link, &setup, carrier, stop, &mut tick).await;
    match outcome {
        Ok(outcome) if outcome.flows.is_empty() && !stop.is_cancelled() => {
            close(link, &grant).await;
            Err(RunError::Refused(outcome.ending))
        }
        Ok(outcome) => {
            if outcome.ending == Ending::Interrupted {
                close(link, &grant).await;
            }
            let result = link.result(grant.test_id, RESULT).await;
            let result =
                result.inspect_err(|error| tracing::debug!(%error, "no result of this session")).ok();
            let (idle, loaded) = echo.finish().await;
            Ok(Session { grant, outcome, result, idle, loaded })
        }
        Err(error) => {
            close(link, &grant).await;
            Err(error.into())
        }
    }
}

/// Frees the slot at once instead of after the reflector's patience. It may have ended there already.
async fn close(link: &mut Link, grant: &SessionGrant) {
    if let Err(error) = link.close_session(grant.test_id).await {
        tracing::debug!(%error, "close a session");
    }
}

/// Runs the test while somebody listens to the control connection.
async fn beside(
    link: &mut Link,
    setup: &Setup,
    carrier: &dyn Carrier,
    stop: &CancellationToken,
    watch: &mut throughput::Watch<'_>,
) -> Result<Outcome, ThroughputError> {
    let ours = stop.child_token();
    let test = throughput::run(setup, carrier, &ours, watch);
    tokio::pin!(test);
    loop {
        tokio::select! {
            outcome = &mut test => return outcome,
            pushed = link.pushed() => if let Err(error) = pushed {
                tracing::debug!(%error, "the control connection is gone");
                break;
            },
        }
    }
    if let Ok(outcome) = timeout(LINK_LOST, &mut test).await {
        return outcome;
    }
    ours.cancel();
    test.await
}

/// Asks, and waits where waiting is our own affair.
async fn granted(
    link: &mut Link,
    phase: &Phase,
    mode: Mode,
    stop: &CancellationToken,
    show: &mut Show<'_>,
) -> Result<SessionGrant, RunError> {
    let params = SessionParams {
        duration_sec: phase.seconds,
        protocol: Some(phase.protocol),
        streams: Some(phase.streams),
        reverse: Some(phase.direction == Direction::Down),
        mode: link.has(Feature::Tunnel).then_some(mode),
    };
    for _ in 0..TRIES {
        let denied = match link.request(TestType::Throughput, params.clone()).await {
            Ok(grant) => return Ok(grant),
            Err(denied) => denied,
        };
        let LinkError::Denied { reason: DenyReason::RateLimited, retry_after_sec: Some(wait), .. } = &denied
        else {
            return Err(denied.into());
        };
        let wait = Duration::from_secs(*wait);
        if wait > WAIT {
            return Err(denied.into());
        }
        show(Event::Waits { seconds: wait.as_secs() });
        tokio::select! {
            () = sleep_until(Instant::now() + wait) => {}
            () = stop.cancelled() => return Err(RunError::Interrupted),
        }
    }
    Ok(link.request(TestType::Throughput, params).await?)
}

/// Keeps within what the owner allows: who sends more is cut.
fn pace(parameters: &mut Parameters, allowed: Option<u64>) {
    let Some(allowed) = allowed else { return };
    let each = (allowed / u64::from(parameters.parallel.max(1))).max(1);
    if parameters.bandwidth == 0 || parameters.bandwidth > each {
        parameters.bandwidth = each;
    }
}

/// The parameters of a phase. `ours`: the server is a reflector.
pub(super) fn setup(phase: &Phase, to: IpAddr, ours: bool) -> Setup {
    let udp = phase.protocol == Protocol::Udp;
    let default = Parameters::default();
    let each = phase.rate.map_or(0, |rate| rate / u64::from(phase.streams.max(1)));
    let parameters = Parameters {
        transport: if udp { Transport::Udp } else { Transport::Tcp },
        time: u32::try_from(phase.seconds).unwrap_or(default.time),
        parallel: phase.streams,
        reverse: phase.direction == Direction::Down,
        bidirectional: phase.direction == Direction::Bidir,
        length: match (udp, to.to_canonical()) {
            (false, _) => default.length,
            (true, IpAddr::V4(_)) => DATAGRAM.0,
            (true, IpAddr::V6(_)) => DATAGRAM.1,
        },
        bandwidth: each,
        wide_counters: udp,
        client_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        discards: ours,
        ..default
    };
    Setup { parameters, local: None, peer_discards: ours }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_as_long_as_those_of_a_stock_client_on_ethernet() {
        let phase = |protocol| Phase {
            name: "up",
            direction: Direction::Up,
            protocol,
            seconds: 5,
            streams: 1,
            rate: None,
            route: Route::Direct,
            echo_idle: false,
            echo_loaded: false,
        };
        for (protocol, to, length) in [
            (Protocol::Udp, "192.0.2.1", 1448),
            (Protocol::Udp, "::ffff:192.0.2.1", 1448),
            (Protocol::Udp, "2001:db8::1", 1428),
            (Protocol::Tcp, "192.0.2.1", Parameters::default().length),
        ] {
            let setup = setup(&phase(protocol), to.parse().unwrap(), true);
            assert_eq!(setup.parameters.length, length, "{protocol:?} {to}");
        }
    }

    /// E6
    #[test]
    fn what_is_sent_stays_within_what_the_owner_allows_and_no_less_is_asked_for() {
        for (asked, allowed, sent) in
            [(0, None, 0), (0, Some(800), 200), (300, Some(800), 200), (100, Some(800), 100), (0, Some(1), 1)]
        {
            let mut parameters = Parameters { parallel: 4, bandwidth: asked, ..Parameters::default() };
            pace(&mut parameters, allowed);
            assert_eq!(parameters.bandwidth, sent, "{asked} {allowed:?}");
        }
    }
}
