//! `TCP_INFO` as this kernel fills it. Own layout, as the one of libc ends before the fields that say what limited a
//! sender.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::engine::tcp_info::TcpInfo;

/// `struct tcp_info` of linux/tcp.h as of 6.7. Fields are only ever added at the end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(in crate::engine) struct Raw {
    pub(in crate::engine) state: u8,
    pub(in crate::engine) ca_state: u8,
    pub(in crate::engine) retransmits: u8,
    pub(in crate::engine) probes: u8,
    pub(in crate::engine) backoff: u8,
    pub(in crate::engine) options: u8,
    /// Two bit fields of 4 bits each.
    pub(in crate::engine) window_scales: u8,
    pub(in crate::engine) flags: u8,
    pub(in crate::engine) rto: u32,
    pub(in crate::engine) ato: u32,
    pub(in crate::engine) snd_mss: u32,
    pub(in crate::engine) rcv_mss: u32,
    pub(in crate::engine) unacked: u32,
    pub(in crate::engine) sacked: u32,
    pub(in crate::engine) lost: u32,
    pub(in crate::engine) retrans: u32,
    pub(in crate::engine) fackets: u32,
    pub(in crate::engine) last_data_sent: u32,
    pub(in crate::engine) last_ack_sent: u32,
    pub(in crate::engine) last_data_recv: u32,
    pub(in crate::engine) last_ack_recv: u32,
    pub(in crate::engine) pmtu: u32,
    pub(in crate::engine) rcv_ssthresh: u32,
    pub(in crate::engine) rtt: u32,
    pub(in crate::engine) rttvar: u32,
    pub(in crate::engine) snd_ssthresh: u32,
    pub(in crate::engine) snd_cwnd: u32,
    pub(in crate::engine) advmss: u32,
    pub(in crate::engine) reordering: u32,
    pub(in crate::engine) rcv_rtt: u32,
    pub(in crate::engine) rcv_space: u32,
    pub(in crate::engine) total_retrans: u32,
    pub(in crate::engine) pacing_rate: u64,
    pub(in crate::engine) max_pacing_rate: u64,
    pub(in crate::engine) bytes_acked: u64,
    pub(in crate::engine) bytes_received: u64,
    pub(in crate::engine) segs_out: u32,
    pub(in crate::engine) segs_in: u32,
    pub(in crate::engine) notsent_bytes: u32,
    pub(in crate::engine) min_rtt: u32,
    pub(in crate::engine) data_segs_in: u32,
    pub(in crate::engine) data_segs_out: u32,
    pub(in crate::engine) delivery_rate: u64,
    pub(in crate::engine) busy_time: u64,
    pub(in crate::engine) rwnd_limited: u64,
    pub(in crate::engine) sndbuf_limited: u64,
    pub(in crate::engine) delivered: u32,
    pub(in crate::engine) delivered_ce: u32,
    pub(in crate::engine) bytes_sent: u64,
    pub(in crate::engine) bytes_retrans: u64,
    pub(in crate::engine) dsack_dups: u32,
    pub(in crate::engine) reord_seen: u32,
    pub(in crate::engine) rcv_ooopack: u32,
    pub(in crate::engine) snd_wnd: u32,
    pub(in crate::engine) rcv_wnd: u32,
    pub(in crate::engine) rehash: u32,
    pub(in crate::engine) total_rto: u16,
    pub(in crate::engine) total_rto_recoveries: u16,
    pub(in crate::engine) total_rto_time: u32,
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
    Ok(TcpInfo::read(&raw, usize::try_from(length).unwrap_or(0)))
}

/// For how long nothing was received or acknowledged on a TCP socket. A full send queue is not silence: its bytes
/// are being acknowledged.
pub fn tcp_silence(socket: impl AsFd) -> io::Result<Duration> {
    let info = tcp_info(socket)?;
    Ok(info.since_data_received.min(info.since_ack_received))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::mem::offset_of;
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
