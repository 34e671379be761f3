//! The UDP streams of a test: each source address on loopback is one stream of the tunnel.
//!
//! Loss, order and delay that iperf3 then reports are those of loopback and of a TCP connection, never the path's.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::local::Local;
use crate::client::tunnel::Tunnel;
use crate::engine::iperf::udp::HELLO;
use crate::engine::tunnel::hello::Kind;
use crate::engine::tunnel::{OpenError, put_datagram};

/// Datagrams of a stream that wait for the tunnel: more are lost, as on any full queue.
const QUEUE: usize = 512;
/// Written at once.
const AT_ONCE: usize = 64;
/// No datagram is longer.
const LONGEST: usize = 65_535;

/// Opens a stream for each new source and carries its datagrams. Ends only when one cannot be opened: streams that end
/// by themselves are how every test ends, which the control connection says.
pub(super) async fn carry(local: &Local, tunnel: &Tunnel, streams: u32) -> OpenError {
    let mut open = HashMap::new();
    let mut running = FuturesUnordered::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        let (count, from) = tokio::select! {
            Some(ended) = running.next(), if !running.is_empty() => match ended {
                Ok(()) => continue,
                Err(error) => return error,
            },
            received = local.datagram(&mut buffer) => received,
        };
        let datagram = buffer.get(..count).unwrap_or_default();
        let number = u32::try_from(open.len()).unwrap_or(u32::MAX).saturating_add(1);
        let queue: &mpsc::Sender<Vec<u8>> = match open.entry(from) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) if count == HELLO.len() && number <= streams => {
                let (queue, waiting) = mpsc::channel(QUEUE);
                running.push(stream(tunnel, number, waiting, local.udp(from), from));
                place.insert(queue)
            }
            // A stray, or a packet of the last test.
            std::collections::hash_map::Entry::Vacant(_) => continue,
        };
        // A full queue loses it.
        let _ = queue.try_send(datagram.to_vec());
    }
}

async fn stream(
    tunnel: &Tunnel,
    number: u32,
    waiting: mpsc::Receiver<Vec<u8>>,
    udp: &UdpSocket,
    client: SocketAddr,
) -> Result<(), OpenError> {
    let stream = tunnel.open(number, Kind::Udp).await?;
    let (reads, writes) = tokio::io::split(stream);
    let ended = tokio::select! {
        ended = up(waiting, writes) => ended,
        ended = down(BufReader::with_capacity(LONGEST, reads), udp, client) => ended,
    };
    tracing::debug!(number, ?ended, "a forwarded stream ended");
    Ok(())
}

async fn up(mut waiting: mpsc::Receiver<Vec<u8>>, mut tunnel: impl AsyncWriteExt + Unpin) -> io::Result<()> {
    let (mut datagrams, mut bytes) = (Vec::new(), Vec::new());
    while waiting.recv_many(&mut datagrams, AT_ONCE).await > 0 {
        bytes.clear();
        for datagram in datagrams.drain(..) {
            put_datagram(&mut bytes, &datagram);
        }
        tunnel.write_all(&bytes).await?;
        tunnel.flush().await?;
    }
    Ok(())
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
