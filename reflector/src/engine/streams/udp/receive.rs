//! How a sink gets at datagrams: many per call from a socket, one by one from anything else.
#![expect(clippy::disallowed_methods, reason = "datagrams without a stamp of the kernel get one here")]

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::engine::iperf::udp::{Header, Tally};
use crate::engine::streams::link::Datagrams;
use crate::engine::sys::Batch;

use super::sink::UdpSink;

/// Datagrams taken in one call.
const SINGLES: usize = 64;

/// Trains taken in one call: as many as come at once, without a megabyte of buffers.
const TRAINS: usize = 8;

/// A train is as long as a datagram can be.
const TRAIN: usize = 65_536;

/// Where a sink gets its datagrams.
pub(in crate::engine::streams) trait Receive: Send {
    /// Most bytes one slot can take.
    fn slot_bytes(&self) -> usize;
    /// How many slots a call can use.
    fn slots(&self) -> usize;
    /// Each datagram comes with a stamp of the kernel, however late it is taken.
    fn stamps(&self) -> bool;
    /// Waits for at least one, takes at most `slots`, says how many.
    fn receive(&mut self, slots: usize) -> io::Result<usize>;
    /// Works through what came and says how many payload bytes it was.
    fn tally(&mut self, wide: bool, tally: &mut Tally, received: &mut u64) -> usize;
}

/// A socket.
pub(in crate::engine::streams) struct Batched {
    socket: Arc<UdpSocket>,
    batch: Batch,
    slots: usize,
    slot_bytes: usize,
    stamped: bool,
}

impl Batched {
    pub(in crate::engine::streams) fn new(socket: Arc<UdpSocket>, how: UdpSink) -> Self {
        // Of single datagrams nothing but the header is copied.
        let (slots, kept, slot_bytes) =
            if how.trains { (TRAINS, TRAIN, TRAIN) } else { (SINGLES, Header::WIDE, how.length.max(1)) };
        Self { socket, batch: Batch::new(slots, kept), slots, slot_bytes, stamped: false }
    }
}

impl Receive for Batched {
    fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    fn slots(&self) -> usize {
        self.slots
    }

    fn stamps(&self) -> bool {
        self.stamped
    }

    fn receive(&mut self, slots: usize) -> io::Result<usize> {
        self.batch.receive(&*self.socket, slots)
    }

    fn tally(&mut self, wide: bool, tally: &mut Tally, received: &mut u64) -> usize {
        let mut bytes = 0_usize;
        let mut ours = None;
        // Trains are many datagrams to a slot already.
        self.stamped = self.slot_bytes < TRAIN;
        for one in self.batch.iter() {
            bytes = bytes.saturating_add(one.length);
            self.stamped &= one.software_stamp.is_some();
            let at = one
                .software_stamp
                .map_or_else(|| *ours.get_or_insert_with(since_epoch), Duration::from_nanos);
            for datagram in one.payload.chunks(one.segment.unwrap_or(TRAIN).max(1)) {
                *received += 1;
                // Too short for a number: bytes that count, a datagram that does not.
                if let Some(header) = Header::read(datagram, wide) {
                    tally.arrived(header, at);
                }
            }
        }
        bytes
    }
}

/// Anything that hands out one datagram after another.
pub(in crate::engine::streams) struct Single<D> {
    pub(super) datagrams: D,
    header: [u8; Header::WIDE],
    length: usize,
}

impl<D: Datagrams> Single<D> {
    pub(in crate::engine::streams) fn new(datagrams: D) -> Self {
        Self { datagrams, header: [0; Header::WIDE], length: 0 }
    }
}

impl<D: Datagrams> Receive for Single<D> {
    fn slot_bytes(&self) -> usize {
        TRAIN
    }

    fn slots(&self) -> usize {
        1
    }

    fn stamps(&self) -> bool {
        false
    }

    fn receive(&mut self, _: usize) -> io::Result<usize> {
        self.length = self.datagrams.receive(&mut self.header)?;
        Ok(1)
    }

    fn tally(&mut self, wide: bool, tally: &mut Tally, received: &mut u64) -> usize {
        *received += 1;
        let header = self.header.get(..self.length.min(Header::WIDE)).unwrap_or_default();
        if let Some(header) = Header::read(header, wide) {
            tally.arrived(header, since_epoch());
        }
        self.length
    }
}

impl Datagrams for Box<dyn Datagrams> {
    fn receive(&mut self, beginning: &mut [u8]) -> io::Result<usize> {
        (**self).receive(beginning)
    }

    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        (**self).send(datagram)
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }
}

/// The clock of the kernel's stamps.
pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
