//! The loop of UDP sources.
#![expect(clippy::disallowed_methods, reason = "streams measure and pace real time")]

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::iperf::udp::Header;
use crate::engine::streams::link::Datagrams;
use crate::engine::streams::pace::Pace;
use crate::engine::streams::stream::{End, Work};
use crate::engine::streams::tcp::{is_closed, is_temporary};

use super::receive::{Single, since_epoch};
use super::send::{Many, OneByOne, Segmented, Transmit};
use super::train::Train;

/// Above this a paced stream sends trains too: single datagrams cost more than the pause between them.
const TRAINS_ABOVE_BITS: u64 = 2_000_000_000;

/// A paced source that was held up makes good for this much at most. Longer, and what it sent to catch up would measure
/// a burst nobody asked for.
const MOST_DEBT: Duration = Duration::from_secs(1);

/// The kernel has no room for a datagram and no way to wait for it: try again this much later.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// How a stream sends datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpSource {
    /// Payload of each, exactly; at least 16.
    pub length: usize,
    /// Numbers are 64 bits wide.
    pub wide: bool,
    /// Send at this rate; otherwise as fast as it goes.
    pub pace: Option<Pace>,
}

/// Runs a source over a socket, in trains where that is fair and possible.
pub(in crate::engine::streams) fn plain_source(socket: Arc<UdpSocket>, how: UdpSource, work: &Work) -> End {
    let trains = how.pace.is_none_or(|pace| pace.bits_per_second > TRAINS_ABOVE_BITS && pace.burst == 0);
    match trains.then(|| Segmented::new(Arc::clone(&socket), how.length)) {
        Some(Ok(segmented)) => send_all(segmented, how, work),
        Some(Err(_)) | None => send_all(Many::new(socket, how.length), how, work),
    }
}

/// Runs a source over anything else.
pub(in crate::engine::streams) fn source<D: Datagrams>(
    single: Single<D>,
    how: UdpSource,
    work: &Work,
) -> End {
    send_all(OneByOne::new(single, how.length), how, work)
}

fn send_all(mut transmit: impl Transmit, how: UdpSource, work: &Work) -> End {
    let mut schedule = Schedule::new(how, transmit.most());
    let mut seq = 1_u64;
    loop {
        let count = match schedule.next(seq - 1) {
            Next::Send(count) => count,
            Next::Wait(until) => {
                if !work.run.sleep_until(until) {
                    return End::Frozen;
                }
                continue;
            }
        };
        if work.run.is_frozen() {
            return End::Frozen;
        }
        let length = how.length.max(1);
        let mut call = |max: usize| {
            let affordable = (max / length).min(count);
            let now = since_epoch();
            // A stamp of 32 bits wraps in 2106, as everybody's does.
            let sec = u32::try_from(now.as_secs() & u64::from(u32::MAX)).unwrap_or(0);
            let first = Header { sec, usec: now.subsec_micros(), seq };
            let sent = transmit.send(first, how.wide, affordable)?;
            Ok(sent.saturating_mul(how.length))
        };
        match work.spend(length..=count.saturating_mul(length), &mut call) {
            None => return End::NoBudget,
            Some(Ok(bytes)) => {
                let sent = bytes / length;
                let datagrams = u64::try_from(sent).unwrap_or(u64::MAX);
                work.counters.moved(bytes);
                work.counters.sent_datagrams(datagrams);
                seq = seq.saturating_add(datagrams);
                schedule.sent(sent);
            }
            Some(Err(error)) if is_temporary(&error) => {}
            Some(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                if !work.run.sleep_until(Instant::now() + FULL_QUEUE_PAUSE) {
                    return End::Frozen;
                }
            }
            Some(Err(error)) if is_closed(&error) || error.kind() == io::ErrorKind::ConnectionRefused => {
                return End::PeerClosed;
            }
            Some(Err(error)) => return End::Failed(error),
        }
    }
}

enum Next {
    Send(usize),
    Wait(Instant),
}

/// When how many datagrams are to go.
struct Schedule {
    pace: Option<Pace>,
    length: u64,
    most: usize,
    round: usize,
    train: Train,
    started: Instant,
    /// Datagrams that will not be made good for any more.
    forgiven: u64,
}

impl Schedule {
    fn new(how: UdpSource, most: usize) -> Self {
        let round = how.pace.map_or(1, |pace| pace.blocks_per_round(how.length, most));
        let length = u64::try_from(how.length.max(1)).unwrap_or(u64::MAX);
        Self {
            pace: how.pace,
            length,
            most,
            round,
            train: Train::new(most),
            started: Instant::now(),
            forgiven: 0,
        }
    }

    fn next(&mut self, sent: u64) -> Next {
        let Some(pace) = self.pace else { return Next::Send(self.train.datagrams()) };
        let elapsed = self.started.elapsed();
        let due = (pace.bytes_in(elapsed) / self.length).saturating_sub(self.forgiven);
        // The first of a round goes when it is due, the others with it: on average none is early or late.
        let behind = (due + 1).saturating_sub(sent);
        if behind == 0 {
            let at = pace.time_for((sent + self.forgiven).saturating_mul(self.length));
            return Next::Wait(self.started + at.max(elapsed));
        }
        self.forgiven += behind.saturating_sub((pace.bytes_in(MOST_DEBT) / self.length).max(1));
        let round = u64::try_from(self.round).unwrap_or(u64::MAX);
        Next::Send(usize::try_from(behind.max(round)).unwrap_or(usize::MAX).min(self.most))
    }

    fn sent(&mut self, count: usize) {
        if self.pace.is_none() {
            self.train.sent(count, self.started.elapsed());
        }
    }
}
