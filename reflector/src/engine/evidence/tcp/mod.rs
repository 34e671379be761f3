//! A TCP stream as its kernel sees it: samples every 100 ms, bounded in number, and what they come to. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Real, float};
use crate::engine::tcp_info::TcpInfo;

/// Time between two samples of a stream.
pub const SAMPLE_INTERVAL_MS: u32 = 100;

/// Samples kept of one stream: a minute of them. When they are full, every other one goes and the interval doubles, so
/// that the whole run stays covered however long it is.
pub const MAX_SAMPLES_PER_STREAM: usize = 600;

/// Samples kept of all streams of a session: as JSON less than half of the largest frame.
pub const MAX_SAMPLES_PER_SESSION: usize = 4096;

/// What the kernel says about a connection at one moment. Counters run since the connection was opened; what an older
/// kernel does not know is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpState {
    /// Since the streams began.
    pub at_ms: u32,
    /// Smoothed round-trip time. 0 before the first acknowledgement.
    pub rtt_us: u32,
    /// The smallest one of the last minutes.
    pub min_rtt_us: Option<u32>,
    /// Bytes that congestion control lets be under way.
    pub cwnd_bytes: u64,
    /// Bytes that the receiver lets be under way.
    pub snd_wnd_bytes: Option<u64>,
    /// The kernel's estimate of what arrives.
    pub delivery_rate_bytes_per_s: Option<u64>,
    /// Segments sent again.
    pub retransmits: u64,
    /// Segments with data that were sent, again or not.
    pub segments: Option<u64>,
    /// Time with something to send.
    pub busy_us: Option<u64>,
    /// Of it, the time stopped by the receiver's window.
    pub rwnd_limited_us: Option<u64>,
    /// Of it, the time stopped by the send buffer.
    pub sndbuf_limited_us: Option<u64>,
    /// The largest packet the path is known to carry.
    pub pmtu_bytes: u32,
    /// Packets seen out of order.
    pub reord_seen: Option<u64>,
}

/// One stream: what it came to, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// As both ends number it: 1, 3, 4, 5 …
    pub id: u32,
    /// What it came to.
    #[serde(flatten)]
    pub summary: TcpSummary,
    /// Time between two of `samples`.
    pub sample_interval_ms: u32,
    /// One per interval.
    pub samples: Vec<TcpSample>,
}

/// One sample as it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpSample {
    /// Since the streams began.
    pub at_ms: u32,
    /// Smoothed round-trip time.
    pub rtt_us: u32,
    /// Bytes that congestion control lets be under way.
    pub cwnd_bytes: u64,
    /// Segments sent again until now.
    pub retransmits: u64,
}

/// What a sending stream came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TcpSummary {
    /// Segments sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u64>,
    /// Mean of the kernel's smoothed round-trip time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<Real>,
    /// The smallest round-trip time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_rtt_us: Option<u32>,
    /// Median of the congestion window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwnd_bytes: Option<u64>,
    /// Median of the receiver's window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snd_wnd_bytes: Option<u64>,
    /// Median of the kernel's estimate of what arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_rate_mbps: Option<Real>,
    /// Time with something to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_ms: Option<u64>,
    /// Of it, the time stopped by the receiver's window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rwnd_limited_ms: Option<u64>,
    /// Of it, the time stopped by the send buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sndbuf_limited_ms: Option<u64>,
    /// The largest packet the path is known to carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pmtu_bytes: Option<u32>,
    /// Packets seen out of order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reord_seen: Option<u64>,
    /// Congestion control of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub congestion: Option<String>,
    /// Segments with data that were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u64>,
}

/// The samples of one stream, and running sums of those that were let go.
#[derive(Debug, Clone)]
pub(super) struct Series {
    kept: Vec<TcpState>,
    most: usize,
    /// Every how many-th sample is kept.
    stride: u32,
    until_next: u32,
    rtt_sum_us: f64,
    rtt_count: u64,
    min_rtt_us: Option<u32>,
    last: Option<TcpState>,
}

impl Series {
    /// For one of `streams` streams of a session.
    pub(super) fn new(streams: usize) -> Self {
        let most = (MAX_SAMPLES_PER_SESSION / streams.max(1)).clamp(2, MAX_SAMPLES_PER_STREAM);
        Self {
            kept: Vec::new(),
            most,
            stride: 1,
            until_next: 0,
            rtt_sum_us: 0.0,
            rtt_count: 0,
            min_rtt_us: None,
            last: None,
        }
    }

    /// One more, 100 ms after the one before.
    pub(super) fn push(&mut self, state: TcpState) {
        self.last = Some(state);
        if state.rtt_us > 0 {
            self.rtt_sum_us += f64::from(state.rtt_us);
            self.rtt_count += 1;
        }
        // The kernel forgets the smallest one after five minutes.
        self.min_rtt_us = self.min_rtt_us.into_iter().chain(state.min_rtt_us).min();
        if self.until_next > 0 {
            self.until_next -= 1;
            return;
        }
        if self.kept.len() >= self.most {
            let mut index = 0usize;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride = self.stride.saturating_mul(2);
        }
        self.kept.push(state);
        self.until_next = self.stride - 1;
    }

    /// The newest round-trip time.
    pub(super) fn rtt_us(&self) -> Option<u32> {
        self.last.map(|state| state.rtt_us).filter(|rtt| *rtt > 0)
    }

    /// What the stream came to; `None` when its kernel never answered.
    pub(super) fn finish(self, id: u32, congestion: Option<String>) -> Option<Stream> {
        let last = self.last?;
        let median = |field: fn(&TcpState) -> Option<u64>| {
            let mut known: Vec<u64> = self.kept.iter().filter_map(field).collect();
            known.sort_unstable();
            known.get(known.len() / 2).copied()
        };
        let ms = |us: Option<u64>| us.map(|us| us / 1000);
        let summary = TcpSummary {
            retransmits: Some(last.retransmits),
            segments: last.segments,
            rtt_us: Real::ratio(self.rtt_sum_us, float(self.rtt_count), 1.0),
            min_rtt_us: self.min_rtt_us,
            cwnd_bytes: median(|state| Some(state.cwnd_bytes)),
            snd_wnd_bytes: median(|state| state.snd_wnd_bytes),
            delivery_rate_mbps: median(|state| state.delivery_rate_bytes_per_s)
                .and_then(|rate| Real::mbps(rate, 1.0)),
            busy_ms: ms(last.busy_us),
            rwnd_limited_ms: ms(last.rwnd_limited_us),
            sndbuf_limited_ms: ms(last.sndbuf_limited_us),
            pmtu_bytes: Some(last.pmtu_bytes),
            reord_seen: last.reord_seen,
            congestion,
        };
        let samples = self.kept.iter().map(|state| TcpSample {
            at_ms: state.at_ms,
            rtt_us: state.rtt_us,
            cwnd_bytes: state.cwnd_bytes,
            retransmits: state.retransmits,
        });
        let samples = samples.collect();
        Some(Stream {
            id,
            summary,
            sample_interval_ms: SAMPLE_INTERVAL_MS.saturating_mul(self.stride),
            samples,
        })
    }
}

impl TcpState {
    /// From the kernel's answer.
    pub(super) fn new(at_ms: u32, info: &TcpInfo) -> Self {
        let us = |time: std::time::Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let long_us = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self {
            at_ms,
            rtt_us: us(info.rtt),
            // All ones before the first measurement.
            min_rtt_us: info.min_rtt.map(us).filter(|rtt| *rtt < u32::MAX),
            cwnd_bytes: u64::from(info.cwnd_segments) * u64::from(info.snd_mss),
            snd_wnd_bytes: info.snd_wnd.map(u64::from),
            delivery_rate_bytes_per_s: info.delivery_rate,
            retransmits: info.retransmitted_segments.into(),
            segments: info.data_segments_out.map(u64::from),
            busy_us: info.busy.map(long_us),
            rwnd_limited_us: info.rwnd_limited.map(long_us),
            sndbuf_limited_us: info.sndbuf_limited.map(long_us),
            pmtu_bytes: info.pmtu,
            reord_seen: info.reordering_seen.map(u64::from),
        }
    }
}

/// Mean round-trip time of all streams between two moments. Both ends keep time by themselves, so a sample is good for one
/// interval more.
pub fn mean_rtt_us(streams: &[Stream], from_ms: u32, to_ms: u32) -> Option<Real> {
    let inside = |stream: &Stream, sample: &TcpSample| {
        let until = sample.at_ms.saturating_add(stream.sample_interval_ms);
        sample.at_ms < to_ms && until >= from_ms && sample.rtt_us > 0
    };
    let samples =
        streams.iter().flat_map(|stream| stream.samples.iter().filter(move |sample| inside(stream, sample)));
    let rtts: Vec<f64> = samples.map(|sample| f64::from(sample.rtt_us)).collect();
    Real::ratio(rtts.iter().sum(), float(rtts.len() as u64), 1.0)
}

#[cfg(test)]
mod tests;
