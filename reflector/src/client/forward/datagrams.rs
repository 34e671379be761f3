//! The UDP streams of a test: each source address on loopback is one stream of the tunnel.
//!
//! Loss, order and delay that iperf3 then reports are those of loopback, of this host's queues and of a TCP connection,
//! never the path's. What was lost on this host is counted, so that it can be said.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UdpSocket;

use super::local::Local;
use super::queue::Queue;
use crate::client::tunnel::Tunnel;
use crate::engine::iperf::udp::HELLO;
use crate::engine::sys::Batch;
use crate::engine::tunnel::OpenError;
use crate::engine::tunnel::hello::Kind;

/// Taken from the kernel at once.
const AT_ONCE: usize = 32;
/// No datagram is longer.
const LONGEST: usize = 65_535;

/// Datagrams of one test that this host lost on their way into the tunnel.
pub(super) struct Losses {
    /// No room in a queue of ours.
    queued: AtomicU64,
    /// What the kernel had dropped for us before the test.
    before: u64,
}

impl Losses {
    /// None yet.
    pub(super) fn begin(local: &Local) -> Self {
        Self { queued: AtomicU64::new(0), before: local.dropped() }
    }

    /// In our queues, and in the kernel's before we looked.
    pub(super) fn count(&self, local: &Local) -> u64 {
        self.queued.load(Ordering::Relaxed).saturating_add(local.dropped().saturating_sub(self.before))
    }
}

/// Opens a stream for each new source and carries its datagrams. Ends only when one cannot be opened: streams that end
/// by themselves are how every test ends, which the control connection says.
pub(super) async fn carry(local: &Local, tunnel: &Tunnel, streams: u32, losses: &Losses) -> OpenError {
    let mut open: HashMap<SocketAddr, Arc<Queue>> = HashMap::new();
    let mut running = FuturesUnordered::new();
    let mut batch = Batch::new(AT_ONCE, LONGEST);
    loop {
        tokio::select! {
            Some(ended) = running.next(), if !running.is_empty() => match ended {
                Ok(()) => continue,
                Err(error) => return error,
            },
            () = local.datagrams(&mut batch) => {}
        }
        for received in batch.iter() {
            let Some(from) = received.sender() else { continue };
            let number = u32::try_from(open.len()).unwrap_or(u32::MAX).saturating_add(1);
            let queue = match open.entry(from) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) if received.length == HELLO.len() && number <= streams => {
                    let queue = Arc::new(Queue::default());
                    running.push(stream(tunnel, number, Arc::clone(&queue), local.udp(from), from));
                    place.insert(queue)
                }
                // A stray, or a packet of the last test.
                Entry::Vacant(_) => continue,
            };
            if !queue.put(received.payload) {
                losses.queued.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn stream(
    tunnel: &Tunnel,
    number: u32,
    waiting: Arc<Queue>,
    udp: &UdpSocket,
    client: SocketAddr,
) -> Result<(), OpenError> {
    let stream = tunnel.open(number, Kind::Udp).await?;
    let (reads, writes) = tokio::io::split(stream);
    let ended = tokio::select! {
        ended = up(&waiting, writes) => ended,
        ended = down(BufReader::with_capacity(LONGEST, reads), udp, client) => ended,
    };
    tracing::debug!(number, ?ended, "a forwarded stream ended");
    Ok(())
}

async fn up(waiting: &Queue, mut tunnel: impl AsyncWriteExt + Unpin) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        waiting.take(&mut bytes).await;
        tunnel.write_all(&bytes).await?;
        tunnel.flush().await?;
    }
}

async fn down(mut tunnel: impl AsyncReadExt + Unpin, udp: &UdpSocket, client: SocketAddr) -> io::Result<()> {
    let mut datagram = Vec::new();
    loop {
        let length = usize::from(tunnel.read_u16().await?);
        datagram.resize(length, 0);
        tunnel.read_exact(&mut datagram).await?;
        // A client that is gone is noticed on its control connection.
        let _ = udp.send_to(&datagram, client).await;
    }
}
