//! From what a run came to on both ends to the phases of a result. Pure.

use std::time::Duration;

use uuid::Uuid;

use super::plan;
use super::result::{CpuCost, Echo, Interval, LostIn, Phase, PhaseMode, Stream, Transport, Udp};
use super::throughput::{Flow, Outcome, Way};
use crate::engine::evidence::limit::{Direction, Facts, Granted, UdpFacts, decide};
use crate::engine::evidence::tcp::mean_rtt_us;
use crate::engine::evidence::{Evidence, Real, float};
use crate::engine::iperf::StreamResult;
use crate::link::message::{Mode, Protocol, SessionResult};
use crate::reason::EndReason;

/// Left out of the steady rate: slow start on any path.
const RAMP: Duration = Duration::from_secs(2);
/// Payload bytes of which processor time is told.
const GB: f64 = 1e9;

/// One run, as far as it is known here.
pub struct Run<'a> {
    /// What it was to be.
    pub phase: &'a plan::Phase,
    /// How data travelled.
    pub mode: PhaseMode,
    /// The session; none with a stock server.
    pub test_id: Option<Uuid>,
    /// What we saw.
    pub outcome: &'a Outcome,
    /// What the reflector says of it.
    pub result: Option<&'a SessionResult>,
    /// What the reflector's host saw.
    pub remote: &'a Evidence,
    /// What the grant allowed.
    pub granted: Granted,
    /// Payload of a datagram.
    pub datagram_bytes: u32,
    /// Before the load.
    pub echo_idle: Option<&'a Echo>,
    /// During it.
    pub echo_loaded: Option<&'a Echo>,
}

impl Run<'_> {
    /// How it ended: the reflector's word, else what this end can tell.
    pub fn end_reason(&self) -> EndReason {
        self.result.map_or_else(|| self.outcome.ending.reason(), |result| result.end_reason)
    }

    /// One phase for each direction that ran, down before up.
    pub fn phases(&self) -> Vec<Phase> {
        self.outcome.flows.iter().rev().map(|flow| self.flow(flow)).collect()
    }

    fn flow(&self, flow: &Flow) -> Phase {
        let received = self.received(flow);
        let seconds = self.seconds(flow);
        let bytes = received.iter().map(|stream| stream.bytes).fold(0, u64::saturating_add);
        let mbps = Real::mbps(bytes, seconds);
        let udp = self.udp(flow, &received);
        Phase {
            name: self.name(flow.way),
            mode: self.mode,
            transport: Some(match self.phase.protocol {
                Protocol::Tcp => Transport::Tcp,
                Protocol::Udp => Transport::Udp,
            }),
            test_id: self.test_id.map(|id| id.to_string()),
            end_reason: self.end_reason().to_string(),
            duration_s: Real::of(seconds).filter(|_| seconds > 0.0),
            bytes,
            mbps,
            steady_mbps: steady(flow),
            streams: self.streams(flow, &received, seconds),
            intervals: intervals(flow, self.sender(flow)),
            echo_idle: self.echo_idle.cloned(),
            echo_loaded: self.echo_loaded.cloned(),
            cpu: self.cpu(),
            limit: decide(&self.facts(flow, bytes, seconds, mbps, udp.as_ref())),
            udp,
        }
    }

    fn name(&self, way: Way) -> String {
        let way = match way {
            Way::Up => "up",
            Way::Down => "down",
        };
        if self.phase.direction == plan::Direction::Bidir { format!("bidir-{way}") } else { way.to_owned() }
    }

    /// What the receiver counted; where it never said, what this end knows to have arrived.
    fn received(&self, flow: &Flow) -> Vec<StreamResult> {
        let ours = flow.results(flow.series.duration().as_secs_f64());
        if flow.way == Way::Down {
            return ours;
        }
        let theirs = self.outcome.remote.as_ref().map_or(&[][..], |remote| &remote.streams);
        let arrived = ours.into_iter().zip(flow.series.totals());
        arrived
            .map(|(ours, arrived)| match theirs.iter().find(|theirs| theirs.id == ours.id) {
                Some(theirs) => theirs.clone(),
                None => StreamResult { bytes: arrived, ..ours },
            })
            .collect()
    }

    /// The receiver's time.
    fn seconds(&self, flow: &Flow) -> f64 {
        let ours = flow.series.duration().as_secs_f64();
        let theirs = self.outcome.remote.iter().flat_map(|remote| &remote.streams);
        let theirs = theirs.filter(|stream| flow.ids.contains(&stream.id)).map(|stream| stream.end_time);
        match flow.way {
            Way::Down => ours,
            Way::Up => theirs.reduce(f64::max).filter(|seconds| *seconds > 0.0).unwrap_or(ours),
        }
    }

    fn streams(&self, flow: &Flow, received: &[StreamResult], seconds: f64) -> Vec<Stream> {
        let sender = self.sender(flow);
        let theirs = self.outcome.remote.iter().flat_map(|remote| &remote.streams);
        received
            .iter()
            .map(|stream| {
                let seen = sender.tcp_info.iter().find(|seen| seen.id == stream.id);
                let mut told = Stream::new(stream.id, stream.bytes, seconds, seen.map(|seen| &seen.summary));
                if flow.way == Way::Down && self.phase.protocol == Protocol::Tcp {
                    let said = theirs.clone().find(|theirs| theirs.id == stream.id);
                    told.tcp.retransmits =
                        told.tcp.retransmits.or_else(|| said.and_then(|said| said.retransmits));
                }
                told
            })
            .collect()
    }

    /// Whose sockets say what held the data.
    fn sender(&self, flow: &Flow) -> &Evidence {
        match flow.way {
            Way::Up => &self.outcome.evidence,
            Way::Down => self.remote,
        }
    }

    fn udp(&self, flow: &Flow, received: &[StreamResult]) -> Option<Udp> {
        if self.phase.protocol == Protocol::Tcp {
            return None;
        }
        let since = |count: fn(&StreamResult) -> u64, before: fn((u64, u64)) -> u64| {
            received.iter().map(|stream| count(stream).saturating_sub(stream.omitted.map_or(0, before))).sum()
        };
        let packets: u64 = since(|stream| stream.packets, |(_, packets)| packets);
        let lost: u64 = since(|stream| stream.errors, |(errors, _)| errors);
        let jitter = received.iter().map(|stream| stream.jitter).reduce(f64::max);
        Some(Udp {
            datagram_bytes: Some(self.datagram_bytes),
            asked_mbps: self.asked_mbps().and_then(Real::of),
            packets,
            lost,
            lost_percent: Real::percent(float(lost), float(packets)),
            lost_in: LostIn::of(self.mode),
            jitter_us: jitter.and_then(|seconds| Real::of(seconds * 1e6)),
            reordered: (flow.way == Way::Down).then(|| flow.out_of_order()),
            duplicates: (flow.way == Way::Down).then(|| flow.duplicates()),
        })
    }

    fn asked_mbps(&self) -> Option<f64> {
        self.phase.rate.map(|bits| float(bits) / 1e6)
    }

    /// Of everything the run moved: one process serves both directions.
    fn cpu(&self) -> CpuCost {
        let moved = self.outcome.flows.iter().flat_map(|flow| self.received(flow)).map(|stream| stream.bytes);
        let bytes = float(moved.fold(0, u64::saturating_add));
        let cost = |evidence: &Evidence| {
            let seconds = evidence.cpu.as_ref()?.process_s?;
            Real::ratio(seconds.value(), bytes, GB)
        };
        CpuCost { local_s_per_gb: cost(&self.outcome.evidence), remote_s_per_gb: cost(self.remote) }
    }

    fn facts(&self, flow: &Flow, bytes: u64, run_s: f64, mbps: Option<Real>, udp: Option<&Udp>) -> Facts<'_> {
        let us =
            |echo: Option<&Echo>, field: fn(&Echo) -> Option<Real>| echo.and_then(field).map(Real::value);
        Facts {
            direction: match flow.way {
                Way::Up => Direction::Up,
                Way::Down => Direction::Down,
            },
            mode: match self.mode {
                PhaseMode::Direct => Mode::DirectEphemeral,
                PhaseMode::Tunneled => Mode::Tunneled,
            },
            end_reason: Some(self.end_reason()),
            run_s,
            bytes: self.result.map_or(bytes, |result| result.bytes),
            mbps,
            asked_mbps: self.asked_mbps(),
            granted: self.granted,
            udp: udp.map(|udp| UdpFacts { packets: udp.packets, lost: udp.lost }),
            loaded_echo_us: us(self.echo_loaded, |echo| echo.p50_us),
            idle_echo_us: us(self.echo_idle, |echo| echo.min_us),
            local: &self.outcome.evidence,
            reflector: self.remote,
        }
    }
}

fn intervals(flow: &Flow, sender: &Evidence) -> Vec<Interval> {
    let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    let steps = flow.series.steps().into_iter();
    steps
        .map(|step| Interval {
            rtt_us: mean_rtt_us(&sender.tcp_info, ms(step.from), ms(step.to)),
            ..Interval::new(step.from.as_secs_f64(), step.to.as_secs_f64(), step.bytes)
        })
        .collect()
}

/// The rate without slow start; `None` when nothing is left.
fn steady(flow: &Flow) -> Option<Real> {
    let steps = flow.series.steps();
    let later = || steps.iter().filter(|step| step.from >= RAMP);
    let bytes = later().flat_map(|step| &step.bytes).sum();
    let seconds = later().map(|step| step.to.saturating_sub(step.from)).sum::<Duration>();
    Real::mbps(bytes, seconds.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::plan::Route;
    use crate::client::result::EchoMethod;
    use crate::client::throughput::Ending;
    use crate::engine::evidence::limit::By;
    use crate::engine::streams::Snapshot;

    /// Datagrams that came down with gaps, while most echoes stayed away and the others were slow.
    fn measured(mode: PhaseMode) -> Phase {
        let phase = plan::Phase {
            name: "udp_down",
            direction: plan::Direction::Down,
            protocol: Protocol::Udp,
            seconds: 1,
            streams: 1,
            rate: Some(100_000_000),
            route: Route::PreferDirect,
            echo_idle: true,
            echo_loaded: true,
        };
        let end = Snapshot {
            bytes: 6_000_000,
            packets: 10_000,
            received: 6_000,
            lost: 4_000,
            ..Snapshot::default()
        };
        let outcome = Outcome {
            ending: Ending::Completed,
            block: 1000,
            flows: vec![Flow::that_came_to(Way::Down, end)],
            remote: None,
            evidence: Evidence::default(),
            problem: None,
        };
        let echo = |p50_us| Echo {
            method: if mode == PhaseMode::Direct { EchoMethod::Keyed } else { EchoMethod::Tunneled },
            sent: 100,
            n: 20,
            min_us: Real::of(40.0),
            p50_us: Real::of(p50_us),
            lost_in: LostIn::of(mode),
            ..Echo::default()
        };
        let (idle, loaded, remote) = (echo(50.0), echo(90_000.0), Evidence::default());
        let run = Run {
            phase: &phase,
            mode,
            test_id: None,
            outcome: &outcome,
            result: None,
            remote: &remote,
            granted: Granted::default(),
            datagram_bytes: 1000,
            echo_idle: Some(&idle),
            echo_loaded: Some(&loaded),
        };
        run.phases().remove(0)
    }

    /// X8
    #[test]
    fn what_a_tunnel_lost_is_told_as_the_tunnels_and_limits_nothing() {
        let direct = measured(PhaseMode::Direct);
        let udp = direct.udp.as_ref().unwrap();
        assert_eq!((udp.lost, udp.lost_in), (4_000, LostIn::Path));
        assert_eq!(direct.limit.by, By::Network);
        let said = |phase: &Phase, signal: &str| phase.limit.evidence.iter().any(|one| one.signal == signal);
        assert!(said(&direct, "udp_lost_percent") && said(&direct, "loaded_rtt_us"), "{:?}", direct.limit);

        let tunneled = measured(PhaseMode::Tunneled);
        let udp = tunneled.udp.as_ref().unwrap();
        assert_eq!((udp.lost, udp.lost_in), (4_000, LostIn::Tunnel), "the numbers stay, the name changes");
        assert_eq!(
            (tunneled.limit.by, tunneled.limit.evidence.len()),
            (By::Unknown, 0),
            "{:?}",
            tunneled.limit
        );
    }
}
