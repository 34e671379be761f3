//! The data connections of a tunnelled session, opened beside its control connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crds::EndpointId;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Link;
use super::dial::{CONNECT, watched};
use super::error::LinkError;
use super::throughput::Direct;
use crate::engine::tunnel::hello::Kind;
use crate::engine::tunnel::{Credentials, OpenError, TunnelStream, open};
use crate::identity::Current;
use crate::link::message::SessionGrant;
use crate::link::tls::{Alpn, client_config};

/// Opens the streams of one session. Made while the control connection is there; it needs no part of it afterwards, but
/// the streams die with it.
#[derive(Debug, Clone)]
pub struct Tunnel {
    to: SocketAddr,
    config: Arc<ClientConfig>,
    credentials: Credentials,
}

impl Tunnel {
    /// For the session that was granted on this connection. `us`: the identity of the connection.
    pub fn new(link: &Link, us: &Current, grant: &SessionGrant) -> Result<Self, LinkError> {
        let token = grant.token.parse().map_err(|_| LinkError::Token)?;
        let secrets = Arc::new(link.secrets(grant.test_id)?);
        Ok(Self {
            to: Direct::beside(link.remote(), grant.port, link.local()).to,
            config: client_config(&us.credentials, Some(link.address().endpoint_id), Alpn::Data)?,
            credentials: Credentials { test_id: grant.test_id, token, secrets },
        })
    }

    /// To a reflector whose control connection is somewhere else, or is none: the self-test's own.
    pub(crate) fn to(
        to: SocketAddr,
        us: &Current,
        expected: EndpointId,
        credentials: Credentials,
    ) -> Result<Self, LinkError> {
        let config = client_config(&us.credentials, Some(expected), Alpn::Data)?;
        Ok(Self { to, config, credentials })
    }

    /// Opens stream `number`: 0 is iperf3 control, others are numbered in the order they are opened, each number once.
    pub async fn open(&self, number: u32, kind: Kind) -> Result<TunnelStream, OpenError> {
        let connecting = timeout(CONNECT, TcpStream::connect(self.to)).await;
        let tcp = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        open(watched(tcp)?, Arc::clone(&self.config), &self.credentials, number, kind).await
    }
}
