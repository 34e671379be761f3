//! `TCP_INFO` as this kernel fills it. Own layout, as the one of libc ends before the fields that say what limited a
//! sender.

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// `struct tcp_info` of linux/tcp.h as of 6.7. Fields are only ever added at the end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Raw {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    probes: u8,
    backoff: u8,
    options: u8,
    /// Two bit fields of 4 bits each.
    window_scales: u8,
    flags: u8,
    rto: u32,
    ato: u32,
    snd_mss: u32,
    rcv_mss: u32,
    unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    fackets: u32,
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    last_ack_recv: u32,
    pmtu: u32,
    rcv_ssthresh: u32,
    rtt: u32,
    rttvar: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    advmss: u32,
    reordering: u32,
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    notsent_bytes: u32,
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
    delivery_rate: u64,
    busy_time: u64,
    rwnd_limited: u64,
    sndbuf_limited: u64,
    delivered: u32,
    delivered_ce: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
    dsack_dups: u32,
    reord_seen: u32,
    rcv_ooopack: u32,
    snd_wnd: u32,
    rcv_wnd: u32,
    rehash: u32,
    total_rto: u16,
    total_rto_recoveries: u16,
    total_rto_time: u32,
}

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

/// Asks for everything this kernel has.
pub fn tcp_info(socket: impl AsFd) -> io::Result<TcpInfo> {
    let mut raw = Raw::default();
    let mut length = libc::socklen_t::try_from(size_of::<Raw>()).unwrap_or(0);
    // SAFETY: the descriptor is open while borrowed; `raw` is plain integers and valid for writing `length` bytes, and
    // the kernel writes at most that many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut raw).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(read(&raw, usize::try_from(length).unwrap_or(0)))
}

/// For how long nothing was received or acknowledged on a TCP socket. A full send queue is not silence: its bytes
/// are being acknowledged.
pub fn tcp_silence(socket: impl AsFd) -> io::Result<Duration> {
    let info = tcp_info(socket)?;
    Ok(info.since_data_received.min(info.since_ack_received))
}

fn read(raw: &Raw, filled: usize) -> TcpInfo {
    // An older kernel fills only a prefix.
    macro_rules! newer {
        ($field:ident) => {
            (offset_of!(Raw, $field) + size_of_val(&raw.$field) <= filled).then_some(raw.$field)
        };
    }
    let (micros, millis) =
        (|value: u32| Duration::from_micros(value.into()), |value: u32| Duration::from_millis(value.into()));
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn layout_is_that_of_the_kernel_header() {
        assert_eq!(offset_of!(Raw, pacing_rate), 104);
        assert_eq!(offset_of!(Raw, delivery_rate), 160);
        assert_eq!(offset_of!(Raw, snd_wnd), 228);
        assert_eq!(size_of::<Raw>(), 248);
    }

    #[test]
    fn fields_an_older_kernel_did_not_fill_are_unknown_and_not_zero() {
        let raw = Raw { snd_wnd: 7, bytes_sent: 9, ..Raw::default() };
        let info = read(&raw, offset_of!(Raw, snd_wnd));
        assert_eq!((info.snd_wnd, info.bytes_sent), (None, Some(9)));
        assert_eq!(read(&raw, offset_of!(Raw, snd_wnd) + 4).snd_wnd, Some(7));
    }

    #[test]
    fn connection_reports_what_went_over_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(&[1; 5000]).unwrap();
        std::io::Read::read_exact(&mut server, &mut [0; 5000]).unwrap();
        let (sent, received) = (tcp_info(&client).unwrap(), tcp_info(&server).unwrap());
        assert_eq!(received.bytes_received, Some(5000));
        assert_eq!(sent.bytes_sent, Some(5000));
        assert!(sent.min_rtt.is_some() && sent.snd_mss > 500 && sent.snd_wnd > Some(0), "{sent:?}");
        assert!(sent.pmtu >= sent.snd_mss, "{sent:?}");
    }
}
