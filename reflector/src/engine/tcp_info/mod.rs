//! What the kernel says about a TCP connection, in units people use. Pure: in go the bytes `sys::tcp_info` was given,
//! out comes [`TcpInfo`]. `layout` knows where which field is.

mod layout;

use std::time::Duration;

use self::layout::Raw;

pub(super) use self::layout::LENGTH;

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
    /// From what the kernel wrote. An older one fills only a prefix.
    pub(super) fn read(filled: &[u8]) -> Self {
        let raw = Raw::read(filled);
        let micros = |value: Option<u32>| Duration::from_micros(value.unwrap_or(0).into());
        let millis = |value: Option<u32>| Duration::from_millis(value.unwrap_or(0).into());
        Self {
            snd_mss: raw.snd_mss.unwrap_or(0),
            rcv_mss: raw.rcv_mss.unwrap_or(0),
            pmtu: raw.pmtu.unwrap_or(0),
            rtt: micros(raw.rtt),
            rtt_var: micros(raw.rttvar),
            // All ones until a round trip was seen.
            min_rtt: raw.min_rtt.filter(|rtt| *rtt != u32::MAX).map(|rtt| micros(Some(rtt))),
            cwnd_segments: raw.snd_cwnd.unwrap_or(0),
            ssthresh_segments: raw.snd_ssthresh.unwrap_or(0),
            unacked_segments: raw.unacked.unwrap_or(0),
            retransmitted_segments: raw.total_retrans.unwrap_or(0),
            since_data_received: millis(raw.last_data_recv),
            since_ack_received: millis(raw.last_ack_recv),
            bytes_acked: raw.bytes_acked,
            bytes_received: raw.bytes_received,
            bytes_sent: raw.bytes_sent,
            bytes_retransmitted: raw.bytes_retrans,
            segments_out: raw.segs_out,
            segments_in: raw.segs_in,
            data_segments_out: raw.data_segs_out,
            data_segments_in: raw.data_segs_in,
            not_sent_bytes: raw.notsent_bytes,
            delivery_rate: raw.delivery_rate,
            pacing_rate: raw.pacing_rate,
            busy: raw.busy_time.map(Duration::from_micros),
            rwnd_limited: raw.rwnd_limited.map(Duration::from_micros),
            sndbuf_limited: raw.sndbuf_limited.map(Duration::from_micros),
            reordering_seen: raw.reord_seen,
            out_of_order_in: raw.rcv_ooopack,
            snd_wnd: raw.snd_wnd,
            rcv_wnd: raw.rcv_wnd,
        }
    }

    /// For how long nothing was received or acknowledged. A full send queue is not silence: its bytes are being
    /// acknowledged.
    pub fn silence(&self) -> Duration {
        self.since_data_received.min(self.since_ack_received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_an_older_kernel_did_not_fill_are_unknown_and_not_zero() {
        let mut bytes = [0; LENGTH];
        bytes[200..208].copy_from_slice(&9_u64.to_ne_bytes());
        bytes[228..232].copy_from_slice(&7_u32.to_ne_bytes());
        let info = TcpInfo::read(&bytes[..228]);
        assert_eq!((info.snd_wnd, info.bytes_sent), (None, Some(9)));
        assert_eq!(TcpInfo::read(&bytes[..231]).snd_wnd, None, "half a number is none");
        assert_eq!(TcpInfo::read(&bytes[..232]).snd_wnd, Some(7));
        assert_eq!(TcpInfo::read(&bytes).rcv_wnd, Some(0));
    }

    #[test]
    fn a_connection_is_as_silent_as_the_later_of_its_signs_of_life() {
        let (short, long) = (Duration::from_millis(3), Duration::from_secs(9));
        for (since_data_received, since_ack_received) in [(short, long), (long, short)] {
            assert_eq!(
                TcpInfo { since_data_received, since_ack_received, ..TcpInfo::default() }.silence(),
                short
            );
        }
    }
}
