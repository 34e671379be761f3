//! From a name to a TCP connection whose other end is watched.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::LinkError;
use super::target::HostPort;

/// For the resolver, and then for TCP to each address. A host that drops packets silently must not hold a person for
/// minutes.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// A reflector that vanished is noticed after about this long: silence, then three probes a second apart.
const SILENCE: Duration = Duration::from_secs(3);
/// Bytes we sent and nobody acknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Tries each address of the name in the resolver's order; the error is of the last one.
pub(super) async fn dial(at: &HostPort) -> Result<TcpStream, LinkError> {
    let mut last = nowhere(at);
    for address in addresses(at).await? {
        let connected = timeout(CONNECT, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                return watched(stream).map_err(|source| LinkError::Connect { at: address, source });
            }
            Err(source) => last = LinkError::Connect { at: address, source },
        }
    }
    Err(last)
}

/// The first address of the name.
pub(super) async fn resolve(at: &HostPort) -> Result<SocketAddr, LinkError> {
    addresses(at).await?.next().ok_or_else(|| nowhere(at))
}

async fn addresses(at: &HostPort) -> Result<impl Iterator<Item = SocketAddr> + use<'_>, LinkError> {
    let found = tokio::net::lookup_host((at.host.as_str(), at.port));
    let found = timeout(CONNECT, found).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    found.map_err(|source| LinkError::Resolve { host: at.host.clone(), source })
}

fn nowhere(at: &HostPort) -> LinkError {
    let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    LinkError::Resolve { host: at.host.clone(), source }
}

/// Small messages leave at once, and a peer that vanished is noticed.
pub(super) fn watched(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    let probes = TcpKeepalive::new().with_time(SILENCE).with_interval(Duration::from_secs(1)).with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(stream)
}
