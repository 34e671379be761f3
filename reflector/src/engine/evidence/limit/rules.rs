//! The rules, in the order of the documentation, and the numbers from which on they match.

use crate::engine::evidence::Real;
use crate::engine::evidence::cpu::CpuUse;
use crate::engine::evidence::float;
use crate::reason::EndReason;

use super::facts::{Facts, Streams};
use super::{Also, By, Cause, Limit, Side, Signal};

/// A run this close to a cap was held by it: pacing and the last second leave a few per cent.
const AT_CAP_PERCENT: f64 = 97.0;
/// A sender that had nothing to send for more than a fifth of the run was not what the network slowed down.
const BUSY_PERCENT: f64 = 80.0;
/// A core or thread above this has no room for one more packet at a time.
const CPU_PERCENT: f64 = 90.0;
/// The same where threads share a core: one that gets it late finds its socket full or empty at once, and then waits for data.
const WANTING_PERCENT: f64 = 70.0;
/// Headers around the payload of a packet: IPv4, TCP with time stamps.
const HEADERS_IN_MTU: f64 = 52.0;
/// What Ethernet adds to a packet: header, check sequence, preamble, gap.
const ETHERNET_AROUND_MTU: f64 = 38.0;
/// Of what a link can carry; the rest goes into acknowledgements, start and other people's packets.
const LINK_PERCENT: f64 = 92.0;
/// A limit that held for half of the time with something to send.
const HELD_PERCENT: f64 = 50.0;
/// Cubic fills a gigabit over 20 ms with less than this; above it, loss sets the rate.
const LOSS_PERCENT: f64 = 0.1;
/// Twice the path's own time is spent waiting in a queue.
const QUEUE_FACTOR: f64 = 2.0;
/// No IP packet is larger, whatever the interface (loopback: 65536) says.
const LARGEST_PACKET: u32 = 65_535;

/// Something that limited the run.
struct Found {
    by: By,
    cause: Cause,
    evidence: Vec<Signal>,
}

/// What limited a run. Never guesses: without a match it is `unknown`.
pub fn decide(facts: &Facts<'_>) -> Limit {
    let streams = Streams::of(facts.sender().evidence);
    let rules: [fn(&Facts<'_>, &Streams) -> Vec<Found>; 8] =
        [policy, application, cpu, nic, window, mtu, loss, queue];
    let mut found = rules.iter().flat_map(|rule| rule(facts, &streams));
    let Some(first) = found.next() else {
        return Limit { by: By::Unknown, cause: Cause::Unknown, also: Vec::new(), evidence: Vec::new() };
    };
    let mut limit = Limit { by: first.by, cause: first.cause, also: Vec::new(), evidence: first.evidence };
    for next in found {
        let also = Also { by: next.by, cause: next.cause };
        if (also.by, also.cause) != (limit.by, limit.cause) && !limit.also.contains(&also) {
            limit.also.push(also);
        }
        limit.evidence.extend(next.evidence);
    }
    limit
}

fn policy(facts: &Facts<'_>, _: &Streams) -> Vec<Found> {
    use EndReason::{DurationCap, QuotaExceeded, RateExceeded, WindowClosed};
    let cut = |reasons: &[EndReason]| {
        let reason = facts.end_reason.filter(|reason| reasons.contains(reason))?;
        yes(&format!("end_reason_{reason}"), Side::Reflector)
    };
    // Running for as long as was granted is no limit of the rate: only a cut is.
    let duration = [
        cut(&[DurationCap, WindowClosed]),
        facts
            .granted
            .duration_s
            .filter(|_| facts.end_reason == Some(DurationCap))
            .and_then(|granted| signal("run_s", facts.run_s, granted, Side::Reflector)),
    ];
    let bytes = facts.granted.bytes.and_then(|granted| {
        at_least("bytes", float(facts.bytes), AT_CAP_PERCENT / 100.0 * float(granted), Side::Reflector)
    });
    let rate = facts.granted.mbps.zip(facts.mbps).and_then(|(granted, mbps)| {
        at_least("mbps", mbps.value(), AT_CAP_PERCENT / 100.0 * granted, Side::Reflector)
    });
    [
        found(By::Policy, Cause::Duration, duration),
        found(By::Policy, Cause::Quota, [cut(&[QuotaExceeded]), bytes]),
        found(By::Policy, Cause::Rate, [cut(&[RateExceeded]), rate]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn application(facts: &Facts<'_>, streams: &Streams) -> Vec<Found> {
    let side = facts.sender().side;
    let reached = facts
        .asked_mbps
        .zip(facts.mbps)
        .and_then(|(asked, mbps)| at_least("mbps", mbps.value(), AT_CAP_PERCENT / 100.0 * asked, side));
    // A sender that had nothing to send because its thread waited for a core was not idle.
    let wanted = facts.sender().evidence.cpu.as_ref().and_then(|cpu| cpu.wanting_thread_percent);
    let could_run = wanted.is_none_or(|percent| percent.value() < WANTING_PERCENT);
    let idle = streams.busiest_s.filter(|_| facts.run_s > 0.0 && could_run).and_then(|busy| {
        let percent = (busy / facts.run_s * 100.0).min(100.0);
        (percent < BUSY_PERCENT).then(|| signal("sender_busy_percent", percent, BUSY_PERCENT, side))?
    });
    [found(By::Application, Cause::Rate, [reached]), found(By::Application, Cause::Idle, [idle])]
        .into_iter()
        .flatten()
        .collect()
}

fn cpu(facts: &Facts<'_>, _: &Streams) -> Vec<Found> {
    let slow = |end: super::facts::End<'_>| {
        let percent = |name: &str, value: Option<Real>| at_least(name, value?.value(), CPU_PERCENT, end.side);
        let wanting = |cpu: &CpuUse| {
            let percent = cpu.wanting_thread_percent?.value();
            at_least("wanting_thread_percent", percent, WANTING_PERCENT, end.side)
        };
        let grew = |name: &str, count: Option<u64>| at_least(name, float(count?), 1.0, end.side);
        let flag =
            |name: &str, raised: Option<bool>| raised.filter(|raised| *raised).and(yes(name, end.side));
        let used = end.evidence.cpu.as_ref();
        let hot = end.evidence.thermal.as_ref();
        found(
            end.by,
            Cause::Cpu,
            [
                percent("busiest_thread_percent", used.and_then(|cpu| cpu.busiest_thread_percent)),
                percent("busiest_softirq_percent", used.and_then(|cpu| cpu.busiest_softirq_percent)),
                // Where streams share cores, with each other or with strangers, no thread can fill one.
                used.and_then(wanting),
                grew("cgroup_throttled_periods", used.and_then(|cpu| cpu.cgroup_throttled_periods)),
                flag("firmware_throttled", hot.and_then(|thermal| thermal.firmware_throttled)),
                grew("throttle_events", hot.and_then(|thermal| thermal.throttle_events)),
            ],
        )
    };
    facts.ends().into_iter().filter_map(slow).collect()
}

fn nic(facts: &Facts<'_>, _: &Streams) -> Vec<Found> {
    let full = |end: super::facts::End<'_>| {
        let nic = end.evidence.nic.as_ref()?;
        let (speed, mtu) = (float(nic.speed_mbps?), f64::from(nic.mtu_bytes?));
        let most = speed * (mtu - HEADERS_IN_MTU) / (mtu + ETHERNET_AROUND_MTU);
        at_least("mbps", facts.mbps?.value(), LINK_PERCENT / 100.0 * most, end.side)
    };
    found(By::Nic, Cause::Speed, facts.ends().map(full)).into_iter().collect()
}

fn window(facts: &Facts<'_>, streams: &Streams) -> Vec<Found> {
    let side = facts.sender().side;
    let held = |name: &str, percent: Option<f64>| at_least(name, percent?, HELD_PERCENT, side);
    [
        found(
            By::Receiver,
            Cause::Window,
            [held("rwnd_limited_percent_of_busy", streams.rwnd_limited_percent)],
        ),
        found(
            By::Sender,
            Cause::Buffer,
            [held("sndbuf_limited_percent_of_busy", streams.sndbuf_limited_percent)],
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn mtu(facts: &Facts<'_>, streams: &Streams) -> Vec<Found> {
    let interface = facts.sender().evidence.nic.as_ref().and_then(|nic| nic.mtu_bytes);
    let smaller = streams.pmtu_bytes.zip(interface).filter(|(path, own)| path < own.min(&LARGEST_PACKET));
    let resent = streams.retransmits.filter(|count| *count > 0);
    let tcp = smaller.zip(resent).map_or([None, None], |((path, own), resent)| {
        [
            signal("path_mtu_bytes", f64::from(path), f64::from(own), Side::Path),
            at_least("retransmits", float(resent), 1.0, facts.sender().side),
        ]
    });
    let receiver = facts.receiver();
    let fragments = facts
        .udp_on_path()
        .and(receiver.evidence.nic.as_ref())
        .and_then(|nic| at_least("reassembly_failures", float(nic.reassembly_failures?), 1.0, receiver.side));
    let [path, resent] = tcp;
    found(By::Network, Cause::Mtu, [path, resent, fragments]).into_iter().collect()
}

fn loss(facts: &Facts<'_>, streams: &Streams) -> Vec<Found> {
    let held = streams.rwnd_limited_percent.zip(streams.sndbuf_limited_percent);
    let by_cwnd = held.map(|(window, buffer)| (100.0 - window - buffer).max(0.0));
    let side = facts.sender().side;
    let cwnd =
        by_cwnd.and_then(|percent| at_least("cwnd_limited_percent_of_busy", percent, HELD_PERCENT, side));
    let resent =
        streams.retransmit_percent.and_then(|percent| above("retransmit_percent", percent, LOSS_PERCENT));
    let tcp = resent.zip(cwnd).map_or([None, None], |(resent, cwnd)| [Some(resent), Some(cwnd)]);
    let [resent, cwnd] = tcp;
    found(By::Network, Cause::Loss, [resent, cwnd, udp_loss(facts)]).into_iter().collect()
}

/// What the receiver's own sockets dropped did arrive.
fn udp_loss(facts: &Facts<'_>) -> Option<Signal> {
    let udp = facts.udp_on_path().filter(|udp| udp.packets > 0)?;
    let dropped = facts.receiver().evidence.nic.as_ref().and_then(|nic| nic.udp_receive_buffer_drops);
    let lost = udp.lost.saturating_sub(dropped.unwrap_or(0));
    above("udp_lost_percent", float(lost) / float(udp.packets) * 100.0, LOSS_PERCENT)
}

fn queue(facts: &Facts<'_>, streams: &Streams) -> Vec<Found> {
    let (loaded_echo, idle_echo) = facts.echo_on_path();
    let loaded = loaded_echo.or(streams.rtt_us);
    let smallest = match (streams.min_rtt_us, idle_echo) {
        (Some(tcp), Some(echo)) => Some(tcp.min(echo)),
        (tcp, echo) => tcp.or(echo),
    };
    let waits = loaded.zip(smallest.filter(|us| *us > 0.0)).and_then(|(loaded, smallest)| {
        at_least("loaded_rtt_us", loaded, QUEUE_FACTOR * smallest, Side::Path)
    });
    found(By::Network, Cause::Queue, [waits]).into_iter().collect()
}

/// Found when there is at least one signal.
fn found<const N: usize>(by: By, cause: Cause, signals: [Option<Signal>; N]) -> Option<Found> {
    let evidence: Vec<Signal> = signals.into_iter().flatten().collect();
    (!evidence.is_empty()).then_some(Found { by, cause, evidence })
}

fn at_least(name: &str, value: f64, threshold: f64, side: Side) -> Option<Signal> {
    if value >= threshold { signal(name, value, threshold, side) } else { None }
}

fn above(name: &str, value: f64, threshold: f64) -> Option<Signal> {
    if value > threshold { signal(name, value, threshold, Side::Path) } else { None }
}

fn yes(name: &str, side: Side) -> Option<Signal> {
    signal(name, 1.0, 1.0, side)
}

fn signal(name: &str, value: f64, threshold: f64, side: Side) -> Option<Signal> {
    Some(Signal { signal: name.to_owned(), value: Real::of(value)?, threshold: Real::of(threshold)?, side })
}
