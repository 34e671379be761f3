//! The datagrams of the control port: one unconnected socket beside the listener, sorted by source.
//!
//! In: what no connected socket of a stream took. Out: [`Datagram`]s at their door. While no door is open the kernel drops
//! everything and nothing here wakes up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::udp::shared_socket;
use super::{Datagram, Doors, MAX_DATAGRAM, filter};
use crate::network::normalise_socket;

/// Datagrams looked at in one go.
const BATCH: usize = 64;

/// Pause after a full batch. Streams send a few datagrams here each, so only a flood fills one, and it gets no more than
/// 64 000 looks a second; the rest stays with the kernel, which drops it.
const BREATH: Duration = Duration::from_millis(1);

/// The socket, bound, not read yet.
#[derive(Debug)]
pub struct Post {
    socket: UdpSocket,
    doors: Doors,
}

impl Post {
    /// Binds beside the control listener, which is bound already. From now on the doors decide what the kernel lets in.
    pub fn bind(address: SocketAddr, doors: &Doors) -> io::Result<Self> {
        let socket = shared_socket(address)?;
        // Before the bind: nothing may slip in.
        socket.attach_filter(&filter::only_from(&[]))?;
        socket.bind(&address.into())?;
        // A second descriptor of the same socket, for whoever opens a door.
        let letterbox = Arc::new(socket.try_clone()?);
        let socket = UdpSocket::from_std(socket.into())?;
        // A process has one control port; a second post keeps the first one's filter.
        let _ = doors.0.letterbox.set(letterbox);
        let open = doors.lock();
        doors.let_through(&open);
        drop(open);
        Ok(Self { socket, doors: doors.clone() })
    }

    /// Sorts until cancelled. `stray` is told how many found no door.
    pub async fn sort(self, stray: impl Fn(u64), cancel: &CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                readable = self.socket.readable() => if let Err(error) = readable {
                    tracing::error!(%error, "wait for datagrams of the control port");
                    return;
                },
            }
            let (looked_at, lost) = self.batch();
            if lost > 0 {
                stray(lost);
            }
            if looked_at == BATCH {
                breathe().await;
            }
        }
    }

    /// What is there, up to a batch: how many, and how many of them were nobody's. The buffer lives only meanwhile.
    fn batch(&self) -> (usize, u64) {
        let mut buffer = [0; MAX_DATAGRAM + 1];
        let mut lost = 0;
        for looked_at in 0..BATCH {
            match self.socket.try_recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let from = normalise_socket(from);
                    let whole = buffer.get(..length).filter(|_| length <= MAX_DATAGRAM);
                    let taken = whole
                        .is_some_and(|bytes| self.doors.deliver(Datagram { from, bytes: bytes.to_vec() }));
                    lost += u64::from(!taken);
                }
                // Nothing left. An error of the socket itself shows in `readable`.
                Err(_) => return (looked_at, lost),
            }
        }
        (BATCH, lost)
    }
}

#[expect(clippy::disallowed_methods, reason = "a flood has no event for `it is over`")]
async fn breathe() {
    tokio::time::sleep(BREATH).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use crds::EndpointId;

    use super::*;

    /// E3, E12
    #[tokio::test]
    async fn datagrams_find_the_door_of_their_source_and_no_other() {
        for (at, source, stranger) in
            [("127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"), ("[::]:0", "127.0.0.2:0", "[::1]:0")]
        {
            let doors = Doors::default();
            let office = Post::bind(at.parse().unwrap(), &doors).unwrap();
            let port = office.socket.local_addr().unwrap().port();
            let (cancel, strays) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
            let (stop, counted) = (cancel.clone(), Arc::clone(&strays));
            let sorting = tokio::spawn(async move {
                let count = |lost| {
                    counted.fetch_add(lost, Ordering::SeqCst);
                };
                office.sort(count, &stop).await;
            });
            let send = |from: &str, text: &str| {
                let from: SocketAddr = from.parse().unwrap();
                let to = if from.is_ipv4() { "127.0.0.1".parse() } else { "::1".parse() };
                let socket = std::net::UdpSocket::bind(from).unwrap();
                socket.send_to(text.as_bytes(), SocketAddr::new(to.unwrap(), port)).unwrap();
                socket.local_addr().unwrap()
            };
            let id = EndpointId::from_public_key([1; 32]);
            send(source, "before the grant");
            let mut door = doors.open(source.parse::<SocketAddr>().unwrap().ip(), id, 1).unwrap();
            send(stranger, "a stranger");
            let from = send(source, "hello");
            let found = tokio::time::timeout(Duration::from_secs(30), door.datagram()).await;
            assert_eq!(found.unwrap(), Some(Datagram { from, bytes: b"hello".to_vec() }));
            assert_eq!(strays.load(Ordering::SeqCst), 0, "the kernel dropped the others");
            cancel.cancel();
            sorting.await.unwrap();
        }
    }
}
