//! Keyed echo beside a throughput test: before the load, and during it, on the session's own port.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::plan::{IDLE_ECHO_SECONDS, Phase};
use super::result::{Delay, Echo, EchoMethod, LostIn, OneWay, PhaseMode, histogram};
use super::throughput::{Direct, Stage};
use super::tunnel::Tunnel;
use crate::engine::echo::Tunnelled;
use crate::engine::echo::probe::{Probe, Settings, Target, USUAL_PPS};
use crate::engine::echo::tally::{Report, Spread};
use crate::engine::echo::wire::{Keys, MIN_LENGTH};
use crate::engine::evidence::Real;
use crate::engine::tunnel::hello::Kind;

/// How echo gets to the reflector.
pub(super) enum Way<'a> {
    /// To the port of the streams.
    Direct(Direct),
    /// As one more stream, with this number.
    Tunnel(&'a Tunnel, u32),
}

/// A probe that follows a test from before its streams to its end.
pub(super) struct Beside {
    probe: Option<Probe>,
    ending: Option<JoinHandle<Vec<Report>>>,
    idle: bool,
    loaded: bool,
    method: EchoMethod,
}

impl Beside {
    /// Starts asking, if the phase wants to know, and waits out the idle part.
    pub(super) async fn start(
        phase: &Phase,
        way: Way<'_>,
        keys: Keys,
        stop: &CancellationToken,
    ) -> io::Result<Self> {
        let method = match way {
            Way::Direct(_) => EchoMethod::Keyed,
            Way::Tunnel(..) => EchoMethod::Tunneled,
        };
        let mut beside =
            Self { probe: None, ending: None, idle: phase.echo_idle, loaded: phase.echo_loaded, method };
        if !phase.echo_idle && !phase.echo_loaded {
            return Ok(beside);
        }
        let settings = Settings { keys: Some(keys), pps: USUAL_PPS, length: MIN_LENGTH };
        beside.probe = Some(Probe::start(target(way).await?, settings)?);
        if phase.echo_idle {
            tokio::select! {
                () = sleep_until(Instant::now() + Duration::from_secs(IDLE_ECHO_SECONDS)) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(beside)
    }

    /// Follows the test. What is on its way when data stops is waited for while the test says its last words: after them
    /// nobody answers any more.
    pub(super) fn follow(&mut self, stage: Stage) {
        let is_last = stage == Stage::Over || (stage == Stage::Begins && !self.loaded);
        if is_last {
            self.ending = self.probe.take().map(|probe| tokio::spawn(probe.finish()));
        } else if stage == Stage::Begins
            && let Some(probe) = &self.probe
        {
            probe.next_phase();
        }
    }

    /// The newest round trip.
    pub(super) fn rtt(&self) -> Option<Duration> {
        let now = self.probe.as_ref()?.snapshot().now_us?;
        Some(Duration::from_secs_f64(now.max(0.0) / 1e6))
    }

    /// What was found before the load and during it.
    pub(super) async fn finish(mut self) -> (Option<Found>, Option<Found>) {
        let reports = match (self.ending.take(), self.probe.take()) {
            (Some(ending), _) => ending.await.unwrap_or_default(),
            (None, Some(probe)) => probe.finish().await,
            (None, None) => Vec::new(),
        };
        let method = self.method;
        let mut found = reports.into_iter().map(|report| Found { report, method });
        let (before, during) = (found.next(), found.next());
        (before.filter(|_| self.idle), during.filter(|_| self.loaded))
    }
}

async fn target(way: Way<'_>) -> io::Result<Target> {
    match way {
        Way::Direct(direct) => {
            let socket = UdpSocket::bind(direct.near())?;
            socket.connect(direct.to)?;
            Ok(Target::Direct(socket))
        }
        Way::Tunnel(tunnel, number) => {
            let stream = tunnel.open(number, Kind::Echo).await.map_err(io::Error::other)?;
            Ok(Target::Tunnel(Box::new(Tunnelled::new(stream.into_blocking()?.into_datagrams())?)))
        }
    }
}

/// Echo of one part of a test.
#[derive(Debug, Clone)]
pub(super) struct Found {
    report: Report,
    method: EchoMethod,
}

impl Found {
    /// As a result tells it. `limited`: datagrams the reflector dropped because of its own limit. `cut`: it stopped
    /// answering before we stopped asking, so what was asked after its last answer is not told at all. `clocks_us`: how far
    /// the two clocks can be apart, if both are kept in step.
    pub(super) fn told(mut self, limited: u64, cut: bool, clocks_us: Option<u64>) -> Echo {
        self.report.excuse(limited);
        if cut {
            self.report.sent = self.report.sent.saturating_sub(self.report.lost_unknown);
        }
        let report = &self.report;
        let rtt = report.rtt.as_ref();
        let us =
            |field: fn(&crate::engine::echo::histogram::Summary) -> f64| rtt.map(field).and_then(Real::of);
        Echo {
            method: self.method,
            sent: report.sent,
            n: rtt.map_or(0, |rtt| rtt.n),
            min_us: us(|rtt| rtt.min_us),
            p50_us: us(|rtt| rtt.p50_us),
            p90_us: us(|rtt| rtt.p90_us),
            p95_us: us(|rtt| rtt.p95_us),
            p99_us: us(|rtt| rtt.p99_us),
            p99_9_us: us(|rtt| rtt.p99_9_us),
            max_us: us(|rtt| rtt.max_us),
            trimmed_mean_us: us(|rtt| rtt.trimmed_mean_us),
            lost_up: report.lost_up,
            lost_down: report.lost_down,
            lost_in: LostIn::of(match self.method {
                EchoMethod::Keyed | EchoMethod::Legacy => PhaseMode::Direct,
                EchoMethod::Tunneled => PhaseMode::Tunneled,
            }),
            duplicate: Some(report.duplicate),
            reordered: Some(report.reordered),
            limited: Some(limited),
            stamps: report.server_stamp.clone(),
            one_way: self.one_way(clocks_us),
            histogram: histogram(report.samples.iter().map(|sample| sample.rtt_us)),
        }
    }

    /// Of the path: a tunnel's delays are its own.
    fn one_way(&self, clocks_us: Option<u64>) -> Option<OneWay> {
        let found = self.report.one_way.filter(|_| self.method == EchoMethod::Keyed)?;
        let delay = |spread: Spread| {
            Some(Delay {
                min_us: Real::of(spread.min_us)?,
                p50_us: Real::of(spread.p50_us)?,
                p95_us: Real::of(spread.p95_us)?,
            })
        };
        Some(OneWay { up: delay(found.up)?, down: delay(found.down)?, error_bound_us: clocks_us? })
    }
}
