//! How the connections of a test are opened: straight to a port, or each in TLS on the control port.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::control::Duplex;
use crate::client::dial::{CONNECT, watched};
use crate::engine::iperf::Cookie;
use crate::engine::streams::Link;
use crate::engine::tunnel::hello::Kind;
use crate::engine::tunnel::{self, Credentials, TunnelStream};

/// A connection in the making.
pub type Opening<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Opens connections to the server of one test.
pub trait Carrier: Send + Sync {
    /// The control connection.
    fn control(&self) -> Opening<'_, Box<dyn Duplex>>;
    /// Data stream `number`, from 1 in the order of opening. The cookie has gone when this resolves.
    fn tcp(&self, number: u32, cookie: Cookie) -> Opening<'_, Link>;
    /// Nothing between the streams and the path: the kernel's numbers are those of the path.
    fn is_direct(&self) -> bool;
}

/// Straight to a port.
#[derive(Debug, Clone, Copy)]
pub struct Direct {
    /// The server.
    pub to: SocketAddr,
    /// Our address, which must be that of the control connection: a grant is for one address. `None`: the kernel's
    /// choice.
    pub from: Option<IpAddr>,
}

impl Direct {
    async fn connect(&self) -> io::Result<TcpStream> {
        let socket = if self.to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(from) = self.from.filter(|from| from.is_ipv4() == self.to.is_ipv4()) {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        timeout(CONNECT, socket.connect(self.to)).await?
    }
}

impl Carrier for Direct {
    fn control(&self) -> Opening<'_, Box<dyn Duplex>> {
        Box::pin(async { Ok(Box::new(watched(self.connect().await?)?) as Box<dyn Duplex>) })
    }

    fn tcp(&self, _number: u32, cookie: Cookie) -> Opening<'_, Link> {
        Box::pin(async move {
            let mut stream = self.connect().await?;
            timeout(CONNECT, stream.write_all(&cookie.to_bytes())).await??;
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            Ok(Link::Tcp(stream))
        })
    }

    fn is_direct(&self) -> bool {
        true
    }
}

/// In TLS on the control port, one connection per stream.
#[derive(Debug, Clone)]
pub struct Tunneled {
    /// The control port, and our address.
    pub direct: Direct,
    /// Our identity, the reflector's key, and the protocol of data.
    pub config: Arc<ClientConfig>,
    /// What the grant says.
    pub credentials: Credentials,
}

impl Tunneled {
    async fn open(&self, number: u32) -> io::Result<TunnelStream> {
        let tcp = self.direct.connect().await?;
        let opened = tunnel::open(tcp, Arc::clone(&self.config), &self.credentials, number, Kind::Tcp);
        opened.await.map_err(io::Error::other)
    }
}

impl Carrier for Tunneled {
    fn control(&self) -> Opening<'_, Box<dyn Duplex>> {
        Box::pin(async { Ok(Box::new(self.open(0).await?) as Box<dyn Duplex>) })
    }

    fn tcp(&self, number: u32, cookie: Cookie) -> Opening<'_, Link> {
        Box::pin(async move {
            let mut stream = self.open(number).await?;
            let said = async {
                stream.write_all(&cookie.to_bytes()).await?;
                stream.flush().await
            };
            timeout(CONNECT, said).await??;
            Ok(stream.into_blocking()?.into_link())
        })
    }

    fn is_direct(&self) -> bool {
        false
    }
}
