//! Runs and echoes out of a few numbers, with noise that is the same each time.

use super::super::score;
use crate::client::result::*;
use crate::engine::evidence::limit::Limit;
use crate::engine::evidence::tcp::TcpSummary;

/// Numbers without a pattern, between 0 and 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 40).unwrap()) / f64::from(1 << 24)
    }

    /// Around 0, mostly between -1 and 1.
    fn bell(&mut self) -> f64 {
        (0..6).map(|_| self.next()).sum::<f64>() / 1.5 - 2.0
    }
}

pub(super) fn real(number: f64) -> Option<Real> {
    Real::of(number)
}

/// What a run is to look like.
pub(super) struct Load {
    pub(super) mbps: f64,
    pub(super) streams: u32,
    /// How much of the rate comes and goes.
    pub(super) unsteady: f64,
    pub(super) seconds: u32,
    pub(super) rtt_us: f64,
    pub(super) min_rtt_us: u32,
    pub(super) retransmits: u64,
    pub(super) seed: u64,
}

fn intervals(load: &Load) -> Vec<Interval> {
    let mut noise = Noise(load.seed);
    let mut at = 0.0;
    (0..load.seconds * 10)
        .map(|tick| {
            // Slow start, then something like cubic's teeth.
            let start = (f64::from(tick + 1) / 9.0).min(1.0).powi(2);
            let tooth = (f64::from(tick) / 37.0).fract() * load.unsteady;
            let rate =
                load.mbps * start * (1.0 - load.unsteady / 2.0 + tooth + 0.4 * load.unsteady * noise.bell());
            let each = rate * 1e6 / 8.0 * 0.1 / f64::from(load.streams);
            let bytes = (0..load.streams).map(|_| float_to_bytes(each * (1.0 + 0.05 * noise.bell())));
            let end = f64::from(tick + 1) / 10.0;
            let mut interval = Interval::new(at, end, bytes.collect());
            interval.rtt_us = real(load.rtt_us * (0.6 + 0.4 * start + 0.1 * noise.bell()));
            at = end;
            interval
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made up here: small and positive"
)]
fn float_to_bytes(number: f64) -> u64 {
    number.max(0.0) as u64
}

pub(super) fn phase(name: &str, load: &Load, limit: Limit) -> Phase {
    let intervals = intervals(load);
    let seconds = f64::from(load.seconds);
    let of_stream = |index: usize| intervals.iter().map(|interval| interval.stream_bytes[index]).sum::<u64>();
    let streams: Vec<Stream> = (0..load.streams)
        .map(|index| {
            let id = if index == 0 { 1 } else { index + 2 };
            let bytes = of_stream(index as usize);
            let share = 1.0 + 0.04 * f64::from(index);
            Stream {
                id,
                bytes,
                mbps: Real::mbps(bytes, seconds),
                tcp: TcpSummary {
                    retransmits: Some(load.retransmits + u64::from(index) * 3),
                    rtt_us: real(load.rtt_us * share),
                    min_rtt_us: Some(load.min_rtt_us),
                    cwnd_bytes: Some(float_to_bytes(load.mbps / f64::from(load.streams) * load.rtt_us / 8.0)),
                    snd_wnd_bytes: Some(3_145_728),
                    delivery_rate_mbps: real(load.mbps / f64::from(load.streams)),
                    busy_ms: Some(u64::from(load.seconds) * 990),
                    rwnd_limited_ms: Some(40),
                    sndbuf_limited_ms: Some(12),
                    pmtu_bytes: Some(1500),
                    reord_seen: Some(0),
                    congestion: Some("cubic".to_owned()),
                    segments: Some(bytes / 1448),
                },
            }
        })
        .collect();
    let bytes = streams.iter().map(|stream| stream.bytes).sum();
    let steady: u64 = intervals.iter().skip(20).map(|interval| interval.bytes).sum();
    Phase {
        name: name.to_owned(),
        mode: PhaseMode::Direct,
        transport: Some(Transport::Tcp),
        test_id: Some(format!("0b9c2f1e-7a64-4c57-9d2e-{:012x}", load.seed)),
        end_reason: "completed".to_owned(),
        duration_s: real(seconds),
        bytes,
        mbps: Real::mbps(bytes, seconds),
        steady_mbps: Real::mbps(steady, seconds - 2.0),
        streams,
        intervals,
        udp: None,
        echo_idle: None,
        echo_loaded: None,
        cpu: CpuCost { local_s_per_gb: real(0.31), remote_s_per_gb: real(0.42) },
        limit,
    }
}

/// Echoes around `typical`, with a tail.
pub(super) fn echo(sent: u32, typical: f64, spread: f64, tail: f64, seed: u64) -> Echo {
    let mut noise = Noise(seed);
    let mut rtts: Vec<f64> = (0..sent)
        .map(|_| {
            let late = if noise.next() > 0.97 { tail * noise.next() } else { 0.0 };
            (typical + spread * noise.bell() + late).max(typical / 2.0)
        })
        .collect();
    rtts.sort_by(f64::total_cmp);
    let at = |percent: f64| {
        let rank = (percent / 100.0 * f64::from(sent)).ceil().max(1.0);
        real(rtts[usize::try_from(float_to_bytes(rank)).unwrap() - 1])
    };
    let width = (rtts[rtts.len() - 1] - rtts[0]) / 24.0;
    let bins = (0..24).map(|bin| {
        let from = rtts[0] + f64::from(bin) * width;
        let to = from + width;
        let inside = |rtt: &&f64| **rtt >= from && (**rtt < to || bin == 23);
        let n = rtts.iter().filter(inside).count() as u64;
        Bin { from_us: real(from).unwrap(), to_us: real(to).unwrap(), n }
    });
    let histogram: Vec<Bin> = bins.filter(|bin| bin.n > 0).collect();
    let share = |percent, part: f64| real(at(percent).unwrap().value() * part).unwrap();
    let delay =
        |part| Delay { min_us: share(0.0, part), p50_us: share(50.0, part), p95_us: share(95.0, part) };
    Echo {
        method: EchoMethod::Keyed,
        sent: u64::from(sent) + 1,
        n: u64::from(sent),
        min_us: at(0.0),
        p50_us: at(50.0),
        p90_us: at(90.0),
        p95_us: at(95.0),
        p99_us: at(99.0),
        p99_9_us: at(99.9),
        max_us: at(100.0),
        trimmed_mean_us: score::trimmed_mean(rtts.clone()),
        lost_up: Some(1),
        lost_down: Some(0),
        lost_in: LostIn::Path,
        duplicate: Some(0),
        reordered: Some(0),
        limited: Some(0),
        stamps: Some("kernel".to_owned()),
        one_way: Some(OneWay { up: delay(0.6), down: delay(0.4), error_bound_us: 950 }),
        histogram,
    }
}
