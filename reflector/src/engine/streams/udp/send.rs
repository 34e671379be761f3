//! How a source gets rid of datagrams: trains or batches on a socket, one by one on anything else.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use rustix::net::sockopt::{ip_mtu, ipv6_mtu};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, send, sendmmsg};

use crate::engine::iperf::udp::Header;
use crate::engine::streams::link::Datagrams;
use crate::engine::streams::tcp::fill;
use crate::engine::sys;

use super::receive::Single;

/// Datagrams one call sends at most: the limit of `UDP_SEGMENT` in older kernels, and enough for any call.
const MOST: usize = 64;

/// Payload of a train at most: it is a datagram until it is cut.
const TRAIN_BYTES: usize = 65_507;

/// Where a source's datagrams go.
pub(in crate::engine::streams) trait Transmit: Send {
    /// How many one call can send.
    fn most(&self) -> usize;
    /// Sends `count` datagrams numbered from that of `first`, all with its stamp; says how many were sent.
    fn send(&mut self, first: Header, wide: bool, count: usize) -> io::Result<usize>;
}

/// A socket whose kernel cuts trains, for as long as it does.
pub(in crate::engine::streams) struct Segmented {
    many: Many,
    train: Vec<u8>,
    most: usize,
}

impl Segmented {
    /// Fails where the kernel cannot, or where datagrams are longer than the path takes in one piece.
    pub(in crate::engine::streams) fn new(socket: Arc<UdpSocket>, length: usize) -> io::Result<Self> {
        let mtu = match socket.local_addr()? {
            SocketAddr::V4(_) => ip_mtu(&socket)?.saturating_sub(28),
            SocketAddr::V6(_) => ipv6_mtu(&socket)?.saturating_sub(48),
        };
        let most = (TRAIN_BYTES / length.max(1)).min(MOST);
        if most < 2 || usize::try_from(mtu).unwrap_or(0) < length {
            return Err(io::ErrorKind::Unsupported.into());
        }
        sys::segment_datagrams(&*socket, u16::try_from(length).unwrap_or(0))?;
        let mut train = vec![0; most * length];
        fill(&mut train);
        Ok(Self { many: Many::new(socket, length), train, most })
    }

    /// The path became narrower than the datagrams, or leads over a device that cannot sum what it cuts.
    fn cannot(error: rustix::io::Errno) -> bool {
        matches!(error, rustix::io::Errno::INVAL | rustix::io::Errno::MSGSIZE | rustix::io::Errno::IO)
    }
}

impl Transmit for Segmented {
    fn most(&self) -> usize {
        self.most
    }

    fn send(&mut self, first: Header, wide: bool, count: usize) -> io::Result<usize> {
        let count = count.min(self.most);
        for (datagram, seq) in self.train.chunks_exact_mut(self.many.length).zip(first.seq..).take(count) {
            Header { seq, ..first }.write(datagram, wide);
        }
        // None is left once the kernel has refused: then it is one by one for good.
        let train = self.train.get(..count * self.many.length).unwrap_or_default();
        if train.is_empty() {
            return self.many.send(first, wide, count);
        }
        match send(&self.many.socket, train, SendFlags::NOSIGNAL) {
            Ok(_) => Ok(count),
            Err(error) if Self::cannot(error) => {
                sys::segment_datagrams(&*self.many.socket, 0)?;
                self.train = Vec::new();
                self.many.send(first, wide, count)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A socket that takes many datagrams in one call.
pub(in crate::engine::streams) struct Many {
    socket: Arc<UdpSocket>,
    headers: Vec<[u8; Header::WIDE]>,
    payload: Vec<u8>,
    length: usize,
}

impl Many {
    pub(in crate::engine::streams) fn new(socket: Arc<UdpSocket>, length: usize) -> Self {
        // All share one payload, which stays in the cache.
        let mut payload = vec![0; length.saturating_sub(Header::WIDE)];
        fill(&mut payload);
        Self { socket, headers: vec![[0; Header::WIDE]; MOST], payload, length }
    }
}

impl Transmit for Many {
    fn most(&self) -> usize {
        MOST
    }

    fn send(&mut self, first: Header, wide: bool, count: usize) -> io::Result<usize> {
        let count = count.min(MOST);
        for (header, seq) in self.headers.iter_mut().zip(first.seq..).take(count) {
            Header { seq, ..first }.write(header, wide);
        }
        let slices = |header| [IoSlice::new(header), IoSlice::new(&self.payload)];
        let heads = self.headers.iter().take(count);
        let payloads: Vec<[IoSlice<'_>; 2]> = heads
            .map(|header| slices(header.get(..self.length.min(Header::WIDE)).unwrap_or_default()))
            .collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = Vec::new();
        controls.resize_with(count, SendAncillaryBuffer::default);
        let mut messages: Vec<MMsgHdr<'_>> = payloads
            .iter()
            .zip(&mut controls)
            .map(|(slices, control)| MMsgHdr::new(slices, control))
            .collect();
        Ok(sendmmsg(&self.socket, &mut messages, SendFlags::NOSIGNAL)?)
    }
}

/// One by one, with the whole payload behind the header.
pub(in crate::engine::streams) struct OneByOne<D> {
    single: Single<D>,
    datagram: Vec<u8>,
}

impl<D> OneByOne<D> {
    pub(in crate::engine::streams) fn new(single: Single<D>, length: usize) -> Self {
        let mut datagram = vec![0; length];
        fill(&mut datagram);
        Self { single, datagram }
    }
}

impl<D: Datagrams> Transmit for OneByOne<D> {
    fn most(&self) -> usize {
        MOST
    }

    fn send(&mut self, first: Header, wide: bool, count: usize) -> io::Result<usize> {
        let mut sent = 0;
        for seq in (first.seq..).take(count) {
            Header { seq, ..first }.write(&mut self.datagram, wide);
            match self.single.datagrams.send(&self.datagram) {
                Ok(()) => sent += 1,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            }
        }
        match self.single.datagrams.flush() {
            // The datagrams were taken; what is kept back goes with the next call.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(sent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that became narrower refuses a train as a whole; here the kernel does, for its number of segments.
    #[test]
    fn refused_train_goes_out_one_by_one_and_so_does_what_follows() {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (one, two) = (Arc::new(bind()), bind());
        one.connect(two.local_addr().unwrap()).unwrap();
        let mut trains = Segmented::new(Arc::clone(&one), 1000).unwrap();
        let first = |seq| Header { sec: 0, usec: 0, seq };
        assert_eq!(trains.send(first(1), false, 3).unwrap(), 3);
        sys::segment_datagrams(&*one, 1).unwrap();
        assert_eq!(trains.send(first(4), false, 3).unwrap(), 3);
        assert_eq!(trains.send(first(7), false, 2).unwrap(), 2);
        let mut datagram = [0; 2000];
        for seq in 1..=8 {
            assert_eq!(two.recv(&mut datagram).unwrap(), 1000);
            assert_eq!(Header::read(&datagram, false), Some(first(seq)));
        }
    }
}
