//! Datagrams that wait for the tunnel: bounded by bytes, and whatever finds no room is counted.
//!
//! UDP has no way to hold its sender back, so something is lost when it sends more than the tunnel takes. iperf3 sees a
//! gap and calls it loss; the count says whose it was.

use std::mem;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::engine::tunnel::put_datagram;

/// Of one stream, and as much again on its way into the tunnel: 30 ms at 1 Gbit/s, so a pause of the scheduler costs
/// nothing, and a sender that is too fast for the tunnel is noticed instead of delayed by seconds.
/// Test: `what_finds_no_room_is_counted_and_nothing_else_is_lost`.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// One writer, one reader.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Vec<u8>>,
    something: Notify,
}

impl Queue {
    /// Puts a datagram behind the others. False: no room, it is lost.
    #[must_use]
    pub(super) fn put(&self, datagram: &[u8]) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = waiting.len() + datagram.len() <= MOST_BYTES;
        if fits {
            put_datagram(&mut waiting, datagram);
            drop(waiting);
            self.something.notify_one();
        }
        fits
    }

    /// Everything that waits, as the tunnel carries it, in place of what `into` held. Waits for something. Cancel-safe.
    pub(super) async fn take(&self, into: &mut Vec<u8>) {
        loop {
            into.clear();
            mem::swap(into, &mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !into.is_empty() {
                return;
            }
            self.something.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E9
    #[tokio::test]
    async fn what_finds_no_room_is_counted_and_nothing_else_is_lost() {
        let queue = Queue::default();
        let datagrams = u32::try_from(MOST_BYTES / 1000).unwrap() + 100;
        let mut kept = Vec::new();
        for number in 0..datagrams {
            let mut datagram = vec![7; 1000];
            datagram[..4].copy_from_slice(&number.to_be_bytes());
            if queue.put(&datagram) {
                kept.push(datagram);
            }
        }
        let lost = datagrams as usize - kept.len();
        assert!((100..200).contains(&lost), "{lost}");
        let (mut bytes, mut found) = (Vec::new(), Vec::new());
        queue.take(&mut bytes).await;
        for framed in bytes.chunks(2 + 1000) {
            let (length, datagram) = framed.split_at(2);
            assert_eq!(length, 1000_u16.to_be_bytes());
            found.push(datagram.to_vec());
        }
        assert!(found == kept, "{} of {}", found.len(), kept.len());
        // There is room again.
        assert!(queue.put(b"after"));
        queue.take(&mut bytes).await;
        assert_eq!(bytes, b"\x00\x05after");
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_the_first_datagram() {
        let queue = Queue::default();
        let mut bytes = vec![1, 2, 3];
        let ((), put) = tokio::join!(queue.take(&mut bytes), async { queue.put(b"x") });
        assert!(put && bytes == b"\x00\x01x");
    }
}
