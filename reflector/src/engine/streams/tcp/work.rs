//! The loops of TCP sinks and sources.
#![expect(clippy::disallowed_methods, reason = "streams measure and pace real time")]

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use super::super::link::Bytes;
use super::super::pace::{Pace, ROUND};
use super::super::stream::{End, Work};
use super::socket::{Copied, Referenced};

/// What one receive takes at most. More is never there at once.
const MOST_RECEIVED: usize = 4 * 1024 * 1024;

/// What one receive leases at least. A lease holds budget that others may need while this stream waits for bytes, so a
/// slow stream leases little; see [`Appetite`].
const LEAST_RECEIVED: usize = 64 * 1024;

/// What one send moves at most.
const MOST_SENT: usize = 1024 * 1024;

/// Blocks below this size are sent as they are; larger ones only matter as a sum.
pub const LARGEST_EXACT_BLOCK: usize = 64 * 1024;

/// What one send of a paced stream moves at most without an exact size: the block of iperf3.
const PACED_BLOCK: usize = 128 * 1024;

/// How a stream receives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpSink {
    /// Copy what arrives to memory of ours instead of discarding it in the kernel. Ignored by links that are no plain
    /// socket.
    pub copy: bool,
}

/// How a stream sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpSource {
    /// Size of each send, for the blocks the peer asked for. Counts below 64 KiB only: above, the kernel cuts as it
    /// likes and ours are faster.
    pub block: Option<usize>,
    /// Send at this rate; otherwise as fast as it goes.
    pub pace: Option<Pace>,
    /// Have the kernel pace the segments too, bits per second (`--fq-rate`).
    pub fq_rate: Option<u64>,
    /// Send constant pages by reference instead of copying. Pays when the receiver discards or there is one stream;
    /// a receiver that copies is slower from two streams on. Falls back to copying where the kernel refuses.
    pub by_reference: bool,
}

/// How much to lease next: twice what came last, so that a lease is never much more than what is about to arrive.
struct Appetite(usize);

impl Appetite {
    fn after(&mut self, received: usize) {
        self.0 = received.saturating_mul(2).clamp(LEAST_RECEIVED, MOST_RECEIVED);
    }
}

/// Receives until told otherwise.
pub(in crate::engine::streams) fn sink(mut bytes: impl Bytes, work: &Work) -> End {
    let end = receive(&mut bytes, work);
    work.counters.leaves(bytes.waiting());
    end
}

fn receive(bytes: &mut impl Bytes, work: &Work) -> End {
    let mut appetite = Appetite(LEAST_RECEIVED);
    loop {
        if work.run.is_frozen() {
            return End::Frozen;
        }
        match work.spend(1..=appetite.0, &mut |max| bytes.read_discard(max)) {
            None => return End::NoBudget,
            Some(Ok(0)) => return End::PeerClosed,
            Some(Ok(received)) => {
                work.counters.moved(received);
                appetite.after(received);
            }
            Some(Err(error)) if is_temporary(&error) => {}
            Some(Err(error)) if is_closed(&error) => return End::PeerClosed,
            Some(Err(error)) => return End::Failed(error),
        }
    }
}

/// Sends until told otherwise.
pub(in crate::engine::streams) fn source(mut bytes: impl Bytes, how: TcpSource, work: &Work) -> End {
    let exact = how.block.filter(|block| (1..LARGEST_EXACT_BLOCK).contains(block));
    let Some(pace) = how.pace else {
        return loop {
            if let Some(end) = send_one(&mut bytes, exact.unwrap_or(MOST_SENT), work).1 {
                break end;
            }
        };
    };
    let block = exact.unwrap_or(PACED_BLOCK);
    let round = match (exact, pace.burst) {
        // Small enough to be even, whatever the rate.
        (None, 0) => usize::try_from(pace.bytes_in(ROUND)).unwrap_or(block).clamp(LEAST_PACED, block),
        _ => block.saturating_mul(pace.blocks_per_round(block, MOST_SENT)),
    };
    let started = Instant::now();
    let mut sent = 0_u64;
    loop {
        let at = started.checked_add(pace.time_for(sent));
        if !at.is_some_and(|at| work.run.sleep_until(at)) {
            return End::Frozen;
        }
        let mut left = round;
        while left > 0 {
            let (moved, end) = send_one(&mut bytes, left.min(exact.unwrap_or(round)), work);
            if let Some(end) = end {
                return end;
            }
            left = left.saturating_sub(moved);
            sent = sent.saturating_add(u64::try_from(moved).unwrap_or(u64::MAX));
        }
    }
}

/// The least a paced stream sends in one go without an exact size: a full segment.
const LEAST_PACED: usize = 1448;

/// One call: what it moved, and the end if there is one.
fn send_one(bytes: &mut impl Bytes, want: usize, work: &Work) -> (usize, Option<End>) {
    if work.run.is_frozen() {
        return (0, Some(End::Frozen));
    }
    match work.spend(1..=want.max(1), &mut |max| bytes.write(max)) {
        None => (0, Some(End::NoBudget)),
        Some(Ok(sent)) => {
            work.counters.moved(sent);
            (sent, None)
        }
        Some(Err(error)) if is_temporary(&error) => (0, None),
        Some(Err(error)) if is_closed(&error) => (0, Some(End::PeerClosed)),
        Some(Err(error)) => (0, Some(End::Failed(error))),
    }
}

/// Nothing moved in time; look at the phase and try again.
pub(in crate::engine::streams) fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
        // The kernel's own timeout of a dead connection has the same kind.
        && error.raw_os_error() != Some(libc::ETIMEDOUT)
}

pub(in crate::engine::streams) fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Runs a source over a plain socket, by reference where that works.
pub(in crate::engine::streams) fn plain_source(socket: Arc<TcpStream>, how: TcpSource, work: &Work) -> End {
    let eligible =
        how.by_reference && how.pace.is_none() && how.block.is_none_or(|block| block >= LARGEST_EXACT_BLOCK);
    match eligible.then(|| Referenced::new(Arc::clone(&socket))) {
        Some(Ok(referenced)) => source(referenced, how, work),
        // No pipe or no pages: the kernel's limits, not ours to lift.
        Some(Err(_)) | None => source(Copied::new(socket), how, work),
    }
}
