//! Socket options that neither socket2 nor rustix has, and receiving into nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use crate::engine::tcp_info::{self, TcpInfo};

/// `UDP_SEGMENT`, `UDP_GRO` of linux/udp.h: libc has them for some targets only.
const UDP_SEGMENT: libc::c_int = 103;
/// See [`UDP_SEGMENT`].
pub(super) const UDP_GRO: libc::c_int = 104;
/// See the kernel header of timestamping.
const RX_HARDWARE: libc::c_uint = 1 << 2;
const RX_SOFTWARE: libc::c_uint = 1 << 3;
const REPORT_SOFTWARE: libc::c_uint = 1 << 4;
const REPORT_RAW_HARDWARE: libc::c_uint = 1 << 6;

/// asm-generic/socket.h, the same on both our architectures: libc has it for some targets only.
const SO_MEMINFO: libc::c_int = 55;
/// Its last number, of `linux/sock_diag.h`.
const MEMINFO_DROPS: usize = 8;

/// Where receive stamps come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamps {
    /// `SO_TIMESTAMPING`: the driver or the stack, and the NIC where somebody switched that on.
    Timestamping,
    /// `SO_TIMESTAMPNS`: the stack.
    Nanoseconds,
}

/// Receives up to `max` bytes and throws them away inside the kernel, without copying them. TCP only: there
/// `MSG_TRUNC` means discard.
pub fn discard(socket: impl AsFd, max: usize) -> io::Result<usize> {
    // SAFETY: the descriptor is open while borrowed. The kernel does not touch the buffer of a TCP receive with
    // MSG_TRUNC (tcp(7)), so null is fine whatever `max` says.
    let result = unsafe { libc::recv(socket.as_fd().as_raw_fd(), ptr::null_mut(), max, libc::MSG_TRUNC) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Bounds the receive window of a TCP socket from now on. What is advertised already stays.
pub fn clamp_window(socket: impl AsFd, bytes: u32) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set(socket, libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP, bytes)
}

/// Has the kernel pace a socket, bytes per second.
pub fn limit_pacing_rate(socket: impl AsFd, bytes_per_second: u64) -> io::Result<()> {
    set(&socket, libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, bytes_per_second).or_else(|_| {
        // Before 4.20 it is 32 bits wide.
        let narrow = u32::try_from(bytes_per_second).unwrap_or(u32::MAX);
        set(&socket, libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, narrow)
    })
}

/// What is sent on this UDP socket in one call becomes datagrams of `bytes`, cut below the stack or in the NIC; 0: off.
pub fn segment_datagrams(socket: impl AsFd, bytes: u16) -> io::Result<()> {
    set(socket, libc::IPPROTO_UDP, UDP_SEGMENT, libc::c_int::from(bytes))
}

/// Lets this UDP socket receive trains of datagrams in one piece.
pub fn enable_gro(socket: impl AsFd) -> io::Result<()> {
    set(socket, libc::IPPROTO_UDP, UDP_GRO, 1)
}

/// Asks for a kernel stamp with every datagram, the best kind there is.
pub fn enable_receive_stamps(socket: impl AsFd) -> io::Result<Stamps> {
    let flags = RX_SOFTWARE | RX_HARDWARE | REPORT_SOFTWARE | REPORT_RAW_HARDWARE;
    if set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags).is_ok() {
        return Ok(Stamps::Timestamping);
    }
    set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1).map(|()| Stamps::Nanoseconds)
}

/// Datagrams the kernel did not queue on this socket: refused by its filter, or no room.
pub fn dropped_datagrams(socket: impl AsFd) -> io::Result<u32> {
    let mut numbers = [0; size_of::<u32>() * (MEMINFO_DROPS + 1)];
    let filled = fill(socket, libc::SOL_SOCKET, SO_MEMINFO, &mut numbers)?;
    filled.last_chunk().copied().map(u32::from_ne_bytes).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Everything this kernel says about a TCP connection.
pub fn tcp_info(socket: impl AsFd) -> io::Result<TcpInfo> {
    let mut info = [0; tcp_info::LENGTH];
    Ok(TcpInfo::read(fill(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info)?))
}

/// What the kernel wrote of an option whose length it counts in bytes.
fn fill(socket: impl AsFd, level: libc::c_int, name: libc::c_int, into: &mut [u8]) -> io::Result<&[u8]> {
    let mut length = libc::socklen_t::try_from(into.len()).unwrap_or(0);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open while borrowed; the kernel writes at most `length` bytes, all of them of `into`.
    let result =
        unsafe { libc::getsockopt(descriptor, level, name, into.as_mut_ptr().cast(), &raw mut length) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(into.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default())
}

fn set<T: Copy>(socket: impl AsFd, level: libc::c_int, name: libc::c_int, value: T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the descriptor is open while borrowed; the kernel reads `length` bytes of `value`, which all callers in
    // this file give as an integer.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn connection_reports_what_went_over_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(&[1; 5000]).unwrap();
        server.read_exact(&mut [0; 5000]).unwrap();
        let (sent, received) = (tcp_info(&client).unwrap(), tcp_info(&server).unwrap());
        assert_eq!(received.bytes_received, Some(5000));
        assert_eq!(sent.bytes_sent, Some(5000));
        assert!(sent.min_rtt.is_some() && sent.snd_mss > 500 && sent.snd_wnd > Some(0), "{sent:?}");
        assert!(sent.pmtu >= sent.snd_mss, "{sent:?}");
    }

    #[test]
    fn datagrams_that_found_no_room_are_counted() {
        let (from, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        socket2::SockRef::from(&to).set_recv_buffer_size(1).unwrap();
        assert_eq!(dropped_datagrams(&to).unwrap(), 0);
        for _ in 0..1000 {
            from.send_to(&[0; 1000], to.local_addr().unwrap()).unwrap();
        }
        let dropped = dropped_datagrams(&to).unwrap();
        to.set_nonblocking(true).unwrap();
        let kept = std::iter::from_fn(|| to.recv(&mut [0; 8]).ok()).count();
        assert_eq!(usize::try_from(dropped).unwrap() + kept, 1000);
    }

    #[test]
    fn an_option_of_another_kind_of_socket_is_an_error() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(tcp_info(&socket).is_err());
    }
}
