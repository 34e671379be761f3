//! An engine's own UDP sockets on the control port: each takes the datagrams of one remote address, the kernel sorts.
//!
//! Linux gives a datagram to the connected socket of its sender before any other of the same port. Between bind and
//! connect a socket catches anybody's: those go back to the doors, and nothing is lost.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::{Datagram, Door, Doors, MAX_DATAGRAM};
use crate::network::normalise_socket;

/// What may have slipped in between bind and connect: far more than a socket's queue gets in that time.
const SLIPPED_IN: usize = 1024;

/// A socket of one stream.
#[derive(Debug)]
pub struct Connected {
    /// Connected, non-blocking, `SO_REUSEPORT`; its buffers are the system's default.
    pub socket: UdpSocket,
    /// What the remote address sent before its socket was there, in order: handle these first.
    pub early: Vec<Vec<u8>>,
}

impl Door {
    /// [`Doors::connect`], for who holds the door.
    pub fn connect(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Connected> {
        self.doors.connect(local, remote)
    }
}

impl Doors {
    /// A socket on `local` (our address of the control connection and the control port) for what `remote` sends. Takes a
    /// few system calls and never waits; needs no runtime. The datagram that asked for the socket was delivered to the door
    /// before and is not among the early ones.
    pub fn connect(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Connected> {
        let socket = shared_socket(local)?;
        socket.bind(&local.into())?;
        let socket = UdpSocket::from(socket);
        self.finish(socket, remote)
    }

    fn finish(&self, socket: UdpSocket, remote: SocketAddr) -> io::Result<Connected> {
        socket.connect(remote)?;
        let mut early = Vec::new();
        let mut buffer = vec![0; MAX_DATAGRAM + 1];
        for _ in 0..SLIPPED_IN {
            let (length, from) = match socket.recv_from(&mut buffer) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP answer to something the port sent before, or a signal: the next read goes on.
                Err(_) => continue,
            };
            let Some(bytes) = buffer.get(..length).filter(|_| length <= MAX_DATAGRAM) else { continue };
            let from = normalise_socket(from);
            if from == remote {
                early.push(bytes.to_vec());
            } else {
                // Nobody's: as lost as it would be without us.
                let _ = self.deliver(Datagram { from, bytes: bytes.to_vec() });
            }
        }
        Ok(Connected { socket, early })
    }
}

/// A datagram socket that shares its port with others of this process. Not bound.
pub(super) fn shared_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 too, as the listener beside it.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use crds::EndpointId;
    use tokio_util::sync::CancellationToken;

    use super::super::Doors;
    use super::super::post::Post;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    struct Scene {
        doors: Doors,
        port: u16,
        _sorting: tokio_util::task::AbortOnDropHandle<()>,
    }

    impl Scene {
        fn at(any: &str) -> Self {
            let doors = Doors::default();
            // The listener has the port first, as in the program.
            let listener = std::net::TcpListener::bind(any).unwrap();
            let office = Post::bind(listener.local_addr().unwrap(), &doors).unwrap();
            let port = listener.local_addr().unwrap().port();
            let sorting = tokio::spawn(async move { office.sort(|_| {}, &CancellationToken::new()).await });
            Self { doors, port, _sorting: tokio_util::task::AbortOnDropHandle::new(sorting) }
        }

        fn open(&self, source: &str) -> Door {
            self.doors.open(source.parse().unwrap(), EndpointId::from_public_key([1; 32]), 2).unwrap()
        }

        fn local(&self, of: &str) -> SocketAddr {
            let v6 = of.parse::<IpAddr>().unwrap().is_ipv6();
            SocketAddr::new(if v6 { "::1" } else { "127.0.0.1" }.parse().unwrap(), self.port)
        }

        fn client(&self, source: &str) -> UdpSocket {
            let client = UdpSocket::bind((source.parse::<IpAddr>().unwrap(), 0)).unwrap();
            client.connect(self.local(source)).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client
        }
    }

    fn receive(socket: &UdpSocket) -> Vec<u8> {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    }

    async fn next(door: &mut Door) -> Datagram {
        tokio::time::timeout(PATIENCE, door.datagram()).await.unwrap().unwrap()
    }

    /// E12: on one control port, on either family, and with one socket for both.
    #[tokio::test]
    async fn each_stream_has_a_socket_of_its_own_on_the_control_port() {
        for (listen, source) in [
            ("127.0.0.1:0", "127.0.0.2"),
            ("0.0.0.0:0", "127.0.0.2"),
            ("[::]:0", "127.0.0.2"),
            ("[::]:0", "::1"),
        ] {
            let scene = Scene::at(listen);
            let mut door = scene.open(source);
            let clients = [scene.client(source), scene.client(source)];
            let mut streams = Vec::new();
            for (nth, client) in clients.iter().enumerate() {
                client.send(format!("hello {nth}").as_bytes()).unwrap();
                let hello = next(&mut door).await;
                assert_eq!(hello.from, client.local_addr().unwrap(), "{listen}");
                let stream = door.connect(scene.local(source), hello.from).unwrap();
                assert!(stream.early.is_empty());
                stream.socket.set_nonblocking(false).unwrap();
                stream.socket.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.socket.send(b"welcome").unwrap();
                assert_eq!(receive(client), b"welcome");
                streams.push(stream.socket);
            }
            for (nth, client) in clients.iter().enumerate().rev() {
                client.send(format!("data {nth}").as_bytes()).unwrap();
            }
            for (nth, stream) in streams.iter().enumerate() {
                assert_eq!(receive(stream), format!("data {nth}").as_bytes(), "{listen}");
            }
        }
    }

    /// Whoever is first to ask for a stream must not lose its hello because somebody else's socket was just being made.
    #[tokio::test]
    async fn what_slips_in_before_a_socket_is_connected_goes_to_whom_it_belongs() {
        let scene = Scene::at("0.0.0.0:0");
        let (_first, mut second) = (scene.open("127.0.0.2"), scene.open("127.0.0.3"));
        let (mine, other) = (scene.client("127.0.0.2"), scene.client("127.0.0.3"));
        let local = scene.local("127.0.0.2");
        let half_made = shared_socket(local).unwrap();
        half_made.bind(&local.into()).unwrap();
        // Bound to the exact address it catches everybody's, and on loopback before send returns.
        other.send(b"hello").unwrap();
        mine.send(b"one").unwrap();
        mine.send(b"two").unwrap();
        let stream = scene.doors.finish(half_made.into(), mine.local_addr().unwrap()).unwrap();
        assert_eq!(stream.early, [b"one", b"two"]);
        assert_eq!(next(&mut second).await.bytes, b"hello");
        other.send(b"again").unwrap();
        assert_eq!(next(&mut second).await.bytes, b"again", "the door still gets its own");
    }
}
