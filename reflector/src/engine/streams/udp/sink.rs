//! The loop of UDP sinks.
#![expect(clippy::disallowed_methods, reason = "the rate of arrival is measured in real time")]

use std::io;
use std::net::UdpSocket;
use std::time::Instant;

use socket2::SockRef;

use crate::engine::iperf::udp::Tally;
use crate::engine::streams::stream::{End, Work};
use crate::engine::streams::tcp::{is_closed, is_temporary};
use crate::engine::sys;

use super::gather::Gather;
use super::receive::Receive;

/// Receive buffer asked for: 4 ms at 10 Gbit/s, in which a thread that was not scheduled is again.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// How a stream receives datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpSink {
    /// Length of a datagram, as agreed. Longer ones are counted with their real length.
    pub length: usize,
    /// Numbers are 64 bits wide.
    pub wide: bool,
    /// The sender is not paced or far above 1 Gbit/s: take trains in one piece, at the price of one stamp per train.
    pub trains: bool,
    /// Receive buffer somebody asked for; otherwise 4 MiB, or what the host allows.
    pub buffer: Option<usize>,
}

/// Sets a socket up before datagrams arrive.
pub(in crate::engine::streams) fn prepare_sink(socket: &UdpSocket, how: UdpSink) -> io::Result<()> {
    let options = SockRef::from(socket);
    let wanted = how.buffer.unwrap_or(RECEIVE_BUFFER);
    // The kernel reports twice of what was set; a host's larger default is left alone.
    if how.buffer.is_some() || options.recv_buffer_size()? < wanted.saturating_mul(2) {
        let forced = rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, wanted);
        if forced.is_err() {
            // Without CAP_NET_ADMIN it is cut to net.core.rmem_max.
            options.set_recv_buffer_size(wanted)?;
        }
    }
    // Neither is vital: without them there are more calls, or stamps of our own.
    if how.trains {
        let _ = sys::enable_gro(socket);
    }
    let _ = sys::enable_receive_stamps(socket);
    Ok(())
}

/// Receives until told otherwise.
pub(in crate::engine::streams) fn sink(mut receive: impl Receive, how: UdpSink, work: &Work) -> End {
    let (slot, most) = (receive.slot_bytes(), receive.slots());
    let (mut tally, mut received, mut slots) = (Tally::default(), 0, 1);
    let (mut gather, begun) = (Gather::default(), Instant::now());
    loop {
        if work.run.is_frozen() {
            return End::Frozen;
        }
        let mut used = 0;
        let mut call = |max: usize| {
            used = receive.receive((max / slot).min(slots))?;
            if work.counters.jitter_restarts() {
                tally.omit_ends();
            }
            Ok(receive.tally(how.wide, &mut tally, &mut received))
        };
        // A datagram that came cannot be taken in part.
        match work.spend(slot..=slots * slot, &mut call) {
            None => return End::NoBudget,
            Some(Ok(bytes)) => {
                work.counters.moved(bytes);
                work.counters.tallied(&tally, received);
                // Lease about what is going to come, as the others of a session need budget too.
                slots = used.saturating_mul(2).clamp(1, most);
                let pause = if receive.stamps() { gather.took(used, begun.elapsed()) } else { None };
                if let Some(pause) = pause {
                    slots = most;
                    if !work.run.sleep_until(Instant::now() + pause) {
                        return End::Frozen;
                    }
                }
            }
            Some(Err(error)) if is_temporary(&error) => slots = 1,
            // Of an earlier datagram of ours, the hello for one; says nothing about what arrives.
            Some(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Some(Err(error)) if is_closed(&error) || error.kind() == io::ErrorKind::UnexpectedEof => {
                return End::PeerClosed;
            }
            Some(Err(error)) => return End::Failed(error),
        }
    }
}
