//! What a test comes out as: results for the client, text it may have asked for, numbers for the session (pure).

use std::fmt::Write;
use std::time::Duration;

use crate::engine::evidence::limit::{self, Facts, Limit};
use crate::engine::evidence::{Evidence, float};
use crate::engine::iperf::results::Retransmits;
use crate::engine::iperf::{Results, StreamResult, stream_id};
use crate::engine::measured::{Measured, StreamMeasured};
use crate::reason::EndReason;

use super::caps::Grant;
use super::flows::Moved;
use super::plan::{Direction, Plan};

/// A test that is over.
pub(super) struct Finished<'a> {
    pub(super) plan: &'a Plan,
    pub(super) reason: EndReason,
    /// From the start, the omitted time included.
    pub(super) lasted: Duration,
    pub(super) streams: Vec<Moved>,
    /// User and system.
    pub(super) cpu: (Duration, Duration),
    pub(super) congestion: Option<String>,
}

impl Finished<'_> {
    /// Time that counts.
    fn counted(&self) -> Duration {
        self.lasted.saturating_sub(self.plan.omit)
    }

    /// For the client.
    pub(super) fn results(&self) -> Results {
        let (user, system) = (self.percent(self.cpu.0), self.percent(self.cpu.1));
        let sends_tcp = self.plan.sends() && !self.plan.is_udp();
        let retransmits = match (self.plan.sends(), sends_tcp) {
            (false, _) => Retransmits::OnlyReceiving,
            (true, false) => Retransmits::Unknown,
            (true, true) => Retransmits::Known,
        };
        Results {
            cpu_total: user + system,
            cpu_user: user,
            cpu_system: system,
            retransmits,
            congestion_used: self.congestion.clone(),
            server_output: self.plan.parameters.wants_server_output.then(|| self.text()),
            streams: self.each().map(|(id, moved)| self.stream(id, moved)).collect(),
        }
    }

    /// For the session's record.
    pub(super) fn measured(&self, evidence: Evidence, grant: &Grant) -> Measured {
        let each = self.each().map(|(id, moved)| StreamMeasured {
            id,
            sender: moved.direction == Some(Direction::Send),
            bytes: moved.packets.bytes,
            retransmits: moved.retransmits,
        });
        let limit = Some(self.limit(&evidence, grant));
        Measured { streams: each.collect(), echo_dropped: Vec::new(), evidence, limit }
    }

    /// What kept it from being faster, as far as this side can tell.
    fn limit(&self, evidence: &Evidence, grant: &Grant) -> Limit {
        let (sends, udp) = (self.plan.sends(), self.plan.is_udp());
        let wanted = if sends { Direction::Send } else { Direction::Receive };
        let streams = || self.streams.iter().filter(|moved| moved.direction == Some(wanted));
        let sum = |of: fn(&Moved) -> u64| streams().map(of).fold(0, u64::saturating_add);
        let direction = if sends { limit::Direction::Down } else { limit::Direction::Up };
        let seconds = self.counted().as_secs_f64();
        let facts = Facts::of_reflector(direction, seconds, sum(|moved| moved.bytes), evidence);
        let megabits = |bits: u64| float(bits) / 1e6;
        let parameters = &self.plan.parameters;
        let asked = parameters.bandwidth.saturating_mul(parameters.parallel.into());
        limit::decide(&Facts {
            mode: grant.mode,
            end_reason: Some(self.reason),
            asked_mbps: (asked > 0).then(|| megabits(asked)),
            granted: limit::Granted {
                duration_s: Some(grant.duration.as_secs_f64()),
                bytes: None,
                mbps: grant.max_rate.map(megabits),
            },
            udp: (udp && !sends).then(|| limit::UdpFacts {
                packets: sum(|moved| moved.packets.packets),
                lost: sum(|moved| moved.packets.lost),
            }),
            ..facts
        })
    }

    fn each(&self) -> impl Iterator<Item = (u32, &Moved)> {
        (0..).map(stream_id).zip(&self.streams)
    }

    fn stream(&self, id: u32, moved: &Moved) -> StreamResult {
        let udp = self.plan.is_udp();
        StreamResult {
            id,
            bytes: moved.bytes,
            retransmits: moved.retransmits,
            jitter: moved.packets.jitter.as_secs_f64(),
            errors: moved.packets.lost,
            packets: moved.packets.packets,
            omitted: udp.then_some((moved.before.lost, moved.before.packets)),
            end_time: self.counted().as_secs_f64(),
        }
    }

    /// Of one core.
    fn percent(&self, time: Duration) -> f64 {
        let lasted = self.lasted.as_secs_f64();
        if lasted > 0.0 { 100.0 * time.as_secs_f64() / lasted } else { 0.0 }
    }

    /// Why it ended, and what was not as asked.
    fn text(&self) -> String {
        let mut text = format!("reflector: {} after {:.1} s\n", self.reason, self.counted().as_secs_f64());
        for clamp in &self.plan.clamped {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "reflector: {clamp}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::iperf::{Parameters, Transport};
    use crate::engine::streams::Snapshot;
    use crate::engine::throughput::caps;
    use crate::link::message::{Mode, Protocol};

    fn grant(protocol: Protocol) -> Grant {
        let (mode, duration) = (Mode::DirectEphemeral, Duration::from_secs(30));
        Grant { protocol, mode, streams: 4, duration, max_rate: None, udp_send_rate: 1000 }
    }

    fn plan(parameters: Parameters) -> Plan {
        let protocol = if parameters.transport == Transport::Udp { Protocol::Udp } else { Protocol::Tcp };
        caps::plan(parameters, &grant(protocol)).unwrap()
    }

    fn finished(plan: &Plan, streams: Vec<Moved>) -> Finished<'_> {
        Finished {
            plan,
            reason: EndReason::DurationCap,
            lasted: Duration::from_secs(12),
            streams,
            cpu: (Duration::from_secs(3), Duration::from_secs(6)),
            congestion: Some("cubic".into()),
        }
    }

    #[test]
    fn omitted_time_is_no_part_of_the_result() {
        let plan = plan(Parameters { omit: 2, transport: Transport::Udp, ..Parameters::default() });
        let after = Snapshot {
            bytes: 900,
            packets: 90,
            lost: 7,
            jitter: Duration::from_millis(2),
            ..Snapshot::default()
        };
        let before = Snapshot { bytes: 100, packets: 10, lost: 2, ..Snapshot::default() };
        let moved = Moved {
            direction: Some(Direction::Receive),
            bytes: 800,
            retransmits: None,
            packets: after,
            before,
        };
        let results = finished(&plan, vec![moved]).results();
        let expected = StreamResult {
            id: 1,
            bytes: 800,
            retransmits: None,
            jitter: 0.002,
            errors: 7,
            packets: 90,
            omitted: Some((2, 10)),
            end_time: 10.0,
        };
        assert_eq!(results.streams, [expected]);
        assert_eq!(results.retransmits, Retransmits::OnlyReceiving);
        assert_eq!((results.cpu_total, results.cpu_user, results.cpu_system), (75.0, 25.0, 50.0));
    }

    /// X8: for audit, status and the client's result.
    #[test]
    fn datagrams_that_a_tunnel_dropped_are_no_loss_of_the_network() {
        let plan = plan(Parameters { transport: Transport::Udp, ..Parameters::default() });
        let packets = Snapshot { bytes: 900, packets: 90, lost: 60, ..Snapshot::default() };
        let moved = Moved { direction: Some(Direction::Receive), bytes: 900, packets, ..Moved::default() };
        let finished = finished(&plan, vec![moved]);
        let by = |mode| {
            let measured = finished.measured(Evidence::default(), &Grant { mode, ..grant(Protocol::Udp) });
            let limit = measured.limit.unwrap();
            limit.also.iter().map(|also| also.by).chain([limit.by]).collect::<Vec<_>>()
        };
        assert!(by(Mode::DirectEphemeral).contains(&limit::By::Network));
        assert!(!by(Mode::Tunneled).contains(&limit::By::Network));
    }

    #[test]
    fn a_client_that_asks_for_our_output_reads_the_end_reason_and_what_was_clamped() {
        let asked = Parameters { wants_server_output: true, window: 100 << 20, ..Parameters::default() };
        let plan = plan(asked);
        let text = finished(&plan, vec![]).results().server_output.unwrap();
        assert!(text.contains("duration_cap after 12.0 s"), "{text}");
        assert!(text.contains("window 104857600 became 67108864"), "{text}");
    }

    #[test]
    fn streams_are_numbered_as_they_were_opened() {
        let plan = plan(Parameters { parallel: 3, reverse: true, ..Parameters::default() });
        let moved = Moved { direction: Some(Direction::Send), retransmits: Some(4), ..Moved::default() };
        let finished = finished(&plan, vec![moved; 3]);
        let ids: Vec<_> = finished.results().streams.iter().map(|s| (s.id, s.retransmits)).collect();
        assert_eq!(ids, [(1, Some(4)), (3, Some(4)), (4, Some(4))]);
        assert_eq!(finished.results().retransmits, Retransmits::Known);
        let measured = finished.measured(Evidence::default(), &grant(Protocol::Tcp));
        assert!(measured.streams.iter().all(|stream| stream.sender));
    }
}
