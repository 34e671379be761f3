//! A listener that takes streams of one session, and a client that opens them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use reflector::engine::secrets::Secrets;
use reflector::engine::tunnel::hello::Kind;
use reflector::engine::tunnel::{
    Arrived, Credentials, OpenError, Refused, Tunnel, TunnelStream, Tunnels, accept, open,
};
use reflector::engine::{Placement, Prepare};
use reflector::identity::{Current, Identity};
use reflector::link::features::Features;
use reflector::link::message::{Protocol, TestType};
use reflector::link::tls::{Alpn, client_config, server_config};
use rustls::{ClientConfig, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

/// Long enough for a busy machine; nothing is asserted about it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const SERVER: u8 = 9;
pub(crate) const CLIENT: u8 = 1;

pub(crate) fn identity(seed: u8) -> Current {
    let now = jiff::Timestamp::constant(1_800_000_000, 0);
    Current::new(Identity::from_seed(&[seed; 32]), None, now).unwrap()
}

pub(crate) fn id(seed: u8) -> EndpointId {
    Identity::from_seed(&[seed; 32]).id()
}

pub(crate) fn client(seed: u8) -> Arc<ClientConfig> {
    client_config(&identity(seed).credentials, Some(id(SERVER)), Alpn::Data).unwrap()
}

pub(crate) fn server() -> Arc<ServerConfig> {
    server_config(&identity(SERVER).credentials, &[Alpn::Data]).unwrap()
}

/// A session that takes streams, and what became of the connections that are none.
pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    pub(crate) credentials: Credentials,
    pub(crate) tunnel: Option<Tunnel>,
    refusals: mpsc::UnboundedReceiver<Refused>,
}

impl Bed {
    /// A session of [`CLIENT`] with two TCP streams.
    pub(crate) async fn start() -> Self {
        let secrets = Arc::new(Secrets { data: [4; 32], echo: [5; 64] });
        let what = Prepare {
            test_id: Uuid::from_bytes([1; 16]),
            token: Uuid::from_bytes([2; 16]),
            peer: id(CLIENT),
            features: Features::NONE,
            secrets: Arc::clone(&secrets),
            placement: Placement::Tunneled,
            test_type: TestType::Throughput,
            protocol: Protocol::Tcp,
            streams: 2,
            reverse: false,
            duration: Duration::from_secs(6),
            peer_addr: Ipv4Addr::LOCALHOST.into(),
            local_addr: Ipv4Addr::LOCALHOST.into(),
            echo_allowed: true,
            max_echo_pps: 7,
            max_rate: None,
        };
        let tunnels = Tunnels::default();
        let tunnel = Some(tunnels.open(&what));
        let credentials = Credentials { test_id: what.test_id, token: what.token, secrets };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (refused, refusals) = mpsc::unbounded_channel();
        let (config, table) = (server(), tunnels.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (config, table, refused) = (Arc::clone(&config), table.clone(), refused.clone());
                tokio::spawn(async move {
                    let outcome = match accept(tcp, &[], config, &table).await {
                        Ok(welcome) => welcome.hand_over(Box::new(())).await,
                        Err(refused) => Err(refused),
                    };
                    if let Err(why) = outcome {
                        refused.send(why).unwrap();
                    }
                });
            }
        });
        Self { address, credentials, tunnel, refusals }
    }

    pub(crate) async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Opens a stream as the session's own client.
    pub(crate) async fn open(&self, number: u32, kind: Kind) -> Result<TunnelStream, OpenError> {
        self.open_as(CLIENT, &self.credentials, number, kind).await
    }

    pub(crate) async fn open_as(
        &self,
        seed: u8,
        credentials: &Credentials,
        number: u32,
        kind: Kind,
    ) -> Result<TunnelStream, OpenError> {
        open(self.dial().await, client(seed), credentials, number, kind).await
    }

    /// The next stream that was let in.
    pub(crate) async fn arrived(&mut self) -> Arrived {
        timeout(PATIENCE, self.tunnel.as_mut().unwrap().stream()).await.unwrap().unwrap()
    }

    /// Both ends of stream `number`.
    pub(crate) async fn pair(&mut self, number: u32) -> (TunnelStream, TunnelStream) {
        let near = self.open(number, Kind::Tcp).await.unwrap();
        let far = self.arrived().await;
        assert_eq!((far.number, far.kind), (number, Kind::Tcp));
        (near, far.stream)
    }

    /// The next connection that was not.
    pub(crate) async fn refused(&mut self) -> Refused {
        timeout(PATIENCE, self.refusals.recv()).await.unwrap().unwrap()
    }
}
