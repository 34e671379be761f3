//! What the kernel says about a TCP connection, in units people use. Pure; asked for with `sys::tcp_info`.

use std::mem::offset_of;
use std::time::Duration;

use super::sys::RawTcpInfo as Raw;

/// What the kernel knows about one TCP connection. `None`: this kernel is too old to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Maximum segment size we send with, bytes.
    pub snd_mss: u32,
    /// The same, as seen in what is received.
    pub rcv_mss: u32,
    /// Path MTU in use.
    pub pmtu: u32,
    /// Smoothed round trip time.
    pub rtt: Duration,
    /// Its mean deviation.
    pub rtt_var: Duration,
    /// Lowest round trip seen.
    pub min_rtt: Option<Duration>,
    /// Congestion window, segments.
    pub cwnd_segments: u32,
    /// Slow start threshold, segments; above 2^30: not set.
    pub ssthresh_segments: u32,
    /// Segments in flight.
    pub unacked_segments: u32,
    /// Segments sent again, ever.
    pub retransmitted_segments: u32,
    /// Since anything was received.
    pub since_data_received: Duration,
    /// Since anything was acknowledged.
    pub since_ack_received: Duration,
    /// Payload acknowledged by the peer.
    pub bytes_acked: Option<u64>,
    /// Payload received in order, read or not.
    pub bytes_received: Option<u64>,
    /// Payload sent, again included.
    pub bytes_sent: Option<u64>,
    /// Payload sent again.
    pub bytes_retransmitted: Option<u64>,
    /// All segments sent.
    pub segments_out: Option<u32>,
    /// All segments received.
    pub segments_in: Option<u32>,
    /// Segments with payload sent.
    pub data_segments_out: Option<u32>,
    /// Segments with payload received.
    pub data_segments_in: Option<u32>,
    /// Queued but not yet sent.
    pub not_sent_bytes: Option<u32>,
    /// Rate of the last delivery, bytes per second.
    pub delivery_rate: Option<u64>,
    /// Rate the kernel paces to, bytes per second; `u64::MAX`: does not.
    pub pacing_rate: Option<u64>,
    /// Time with something to send.
    pub busy: Option<Duration>,
    /// Of that: held up by the peer's window.
    pub rwnd_limited: Option<Duration>,
    /// Of that: held up by our own send buffer.
    pub sndbuf_limited: Option<Duration>,
    /// Reordering events.
    pub reordering_seen: Option<u32>,
    /// Segments received out of order.
    pub out_of_order_in: Option<u32>,
    /// The peer's advertised window.
    pub snd_wnd: Option<u32>,
    /// The window we advertise.
    pub rcv_wnd: Option<u32>,
}

impl TcpInfo {
    /// From what the kernel wrote, of which the first `filled` bytes are its own.
    pub(super) fn read(raw: &Raw, filled: usize) -> Self {
        // An older kernel fills only a prefix.
        macro_rules! newer {
            ($field:ident) => {
                (offset_of!(Raw, $field) + size_of_val(&raw.$field) <= filled).then_some(raw.$field)
            };
        }
        let (micros, millis) = (
            |value: u32| Duration::from_micros(value.into()),
            |value: u32| Duration::from_millis(value.into()),
        );
        TcpInfo {
            snd_mss: raw.snd_mss,
            rcv_mss: raw.rcv_mss,
            pmtu: raw.pmtu,
            rtt: micros(raw.rtt),
            rtt_var: micros(raw.rttvar),
            // All ones until a round trip was seen.
            min_rtt: newer!(min_rtt).filter(|rtt| *rtt != u32::MAX).map(micros),
            cwnd_segments: raw.snd_cwnd,
            ssthresh_segments: raw.snd_ssthresh,
            unacked_segments: raw.unacked,
            retransmitted_segments: raw.total_retrans,
            since_data_received: millis(raw.last_data_recv),
            since_ack_received: millis(raw.last_ack_recv),
            bytes_acked: newer!(bytes_acked),
            bytes_received: newer!(bytes_received),
            bytes_sent: newer!(bytes_sent),
            bytes_retransmitted: newer!(bytes_retrans),
            segments_out: newer!(segs_out),
            segments_in: newer!(segs_in),
            data_segments_out: newer!(data_segs_out),
            data_segments_in: newer!(data_segs_in),
            not_sent_bytes: newer!(notsent_bytes),
            delivery_rate: newer!(delivery_rate),
            pacing_rate: newer!(pacing_rate),
            busy: newer!(busy_time).map(Duration::from_micros),
            rwnd_limited: newer!(rwnd_limited).map(Duration::from_micros),
            sndbuf_limited: newer!(sndbuf_limited).map(Duration::from_micros),
            reordering_seen: newer!(reord_seen),
            out_of_order_in: newer!(rcv_ooopack),
            snd_wnd: newer!(snd_wnd),
            rcv_wnd: newer!(rcv_wnd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_an_older_kernel_did_not_fill_are_unknown_and_not_zero() {
        let raw = Raw { snd_wnd: 7, bytes_sent: 9, ..Raw::default() };
        let info = TcpInfo::read(&raw, offset_of!(Raw, snd_wnd));
        assert_eq!((info.snd_wnd, info.bytes_sent), (None, Some(9)));
        assert_eq!(TcpInfo::read(&raw, offset_of!(Raw, snd_wnd) + 4).snd_wnd, Some(7));
    }
}
