//! A control connection to a reflector: TLS pinned to its key, `hello`, then one question at a time.
//!
//! The owner holds it for as long as sessions run: data dies with it. Between questions [`Link::pushed`] waits for what
//! the reflector says unasked. Dropping the link closes the connection, and with it every session of it.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use crds::EndpointId;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use uuid::Uuid;

use super::dial::dial;
use super::error::LinkError;
use super::target::Address;
use super::wire::{Wire, name};
use crate::engine::secrets::Secrets;
use crate::identity::Current;
use crate::link::features::{Feature, Features, VERSION, negotiate};
use crate::link::message::{
    Envelope, Message, PathMeta, ServerHello, SessionGrant, SessionParams, SessionResult, StatusSnapshot,
    TestType,
};
use crate::link::reply::FORBIDDEN;
use crate::link::tls::{Alpn, client_config, server_name};

/// For the TLS handshake; as long as the reflector waits for ours.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// For an answer. The longest is a grant, which may wait a second for our own last test to end.
pub const ANSWER: Duration = Duration::from_secs(10);
/// The same for a code, whose reflector waits ten seconds for its cluster and then says that it may be tried again.
const PAIRED: Duration = Duration::from_secs(15);
/// For `close_notify` to leave.
const GOODBYE: Duration = Duration::from_millis(250);
/// Results kept until somebody asks for them; a client runs one session at a time.
const MAX_RESULTS: usize = 16;

/// Why nothing is answered on a connection that may only pair, in words for people.
const NOT_YET: &str = "this reflector does not know this client yet, and a pairing window is open there";

/// What we can make use of.
const FEATURES: Features = Features::of(&[
    Feature::Throughput,
    Feature::UdpEcho,
    Feature::Results,
    Feature::Tunnel,
    Feature::EchoToken,
    Feature::ResourceExhausted,
    Feature::Succession,
]);

/// A connection past its `hello`.
#[derive(Debug)]
pub struct Link {
    wire: Wire<TlsStream<TcpStream>>,
    address: Address,
    ours: EndpointId,
    local: SocketAddr,
    remote: SocketAddr,
    hello: ServerHello,
    features: Features,
    asked: u64,
    results: VecDeque<SessionResult>,
}

impl Link {
    /// Connects as `us`, accepting no other key than the address names.
    pub async fn connect(address: &Address, us: &Current) -> Result<Self, LinkError> {
        let stream = dial(&address.at).await?;
        let at = |source| LinkError::Broken { during: "connecting", source };
        let (local, remote) = (stream.local_addr().map_err(at)?, stream.peer_addr().map_err(at)?);
        let config = client_config(&us.credentials, Some(address.endpoint_id), Alpn::Link)?;
        let handshake = TlsConnector::from(config).connect(server_name(), stream);
        let tls = within(HANDSHAKE, "agreeing on TLS", async {
            handshake.await.map_err(|source| LinkError::of_handshake(remote, source))
        });
        let mut wire = Wire::new(tls.await?);
        let hello = within(ANSWER, "saying hello", hello(&mut wire, us.identity.id())).await?;
        let features = negotiate(&hello.features, FEATURES);
        let (address, ours) = (address.clone(), us.identity.id());
        Ok(Self { wire, address, ours, local, remote, hello, features, asked: 0, results: VecDeque::new() })
    }

    /// What the reflector said of itself and of our limits. Before pairing, the limits are its defaults.
    pub const fn hello(&self) -> &ServerHello {
        &self.hello
    }

    /// Whether both sides can do this.
    pub const fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// What both sides can do.
    pub const fn features(&self) -> Features {
        self.features
    }

    /// Where it was reached, and by what name.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Our end of the connection.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Its end: plain data goes to the same IP.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether we may do more here than pair. Asked before anything is promised to a person.
    pub async fn admitted(&mut self) -> Result<(), LinkError> {
        self.status().await.map(|_| ())
    }

    /// Presents a pairing code. The words of a success; the limits in [`Self::hello`] stay what they were, so callers
    /// connect again.
    pub async fn pair(&mut self, code: &str) -> Result<String, LinkError> {
        let question = Message::PairRequest { token: code.to_owned() };
        match self.ask_for(PAIRED, "pair_request", question).await? {
            Message::PairResponse { success: true, message, .. } => Ok(message),
            Message::PairResponse { message, .. } => Err(LinkError::PairingRefused { message }),
            other => Err(unexpected("pair_request", &other)),
        }
    }

    /// Our usage there.
    pub async fn status(&mut self) -> Result<StatusSnapshot, LinkError> {
        match self.ask("get_status", Message::GetStatus).await? {
            Message::StatusSnapshot(status) => Ok(status),
            other => Err(unexpected("get_status", &other)),
        }
    }

    /// Facts about its host and the path.
    pub async fn path_meta(&mut self) -> Result<PathMeta, LinkError> {
        match self.ask("get_path_meta", Message::GetPathMeta).await? {
            Message::PathMeta(meta) => Ok(meta),
            other => Err(unexpected("get_path_meta", &other)),
        }
    }

    /// Asks for a session. Its listener is up when the grant arrives.
    pub async fn request(
        &mut self,
        test_type: TestType,
        params: SessionParams,
    ) -> Result<SessionGrant, LinkError> {
        match self.ask("session_request", Message::SessionRequest { test_type, params }).await? {
            Message::SessionGrant(grant) => Ok(grant),
            Message::SessionDeny { reason, message, retry_after_sec } => {
                Err(LinkError::Denied { reason, message, retry_after_sec })
            }
            other => Err(unexpected("session_request", &other)),
        }
    }

    /// Ends a session of ours.
    pub async fn close_session(&mut self, test_id: Uuid) -> Result<(), LinkError> {
        match self.ask("session_close", Message::SessionClose { test_id }).await? {
            Message::Ok => Ok(()),
            other => Err(unexpected("session_close", &other)),
        }
    }

    /// What the session came to, once the reflector says so. Only with [`Feature::Results`].
    pub async fn result(&mut self, test_id: Uuid, patience: Duration) -> Result<SessionResult, LinkError> {
        if !self.has(Feature::Results) {
            return Err(LinkError::Feature("results"));
        }
        within(patience, "waiting for the result", async {
            loop {
                if let Some(at) = self.results.iter().position(|result| result.test_id == test_id) {
                    return self.results.remove(at).ok_or(LinkError::Feature("results"));
                }
                self.pushed().await?;
            }
        })
        .await
    }

    /// Waits until the reflector says something unasked, which is kept, or until the connection is gone, which is an
    /// error. Cancel-safe: for a `select!` beside a running test.
    pub async fn pushed(&mut self) -> Result<(), LinkError> {
        let envelope = self.wire.read("a test ran").await?;
        match envelope.payload {
            Message::Error { code, message } => Err(LinkError::Refused { asked: "nothing", code, message }),
            other => {
                self.keep(other);
                Ok(())
            }
        }
    }

    /// The keys that bind the data of a session to this connection. The reflector makes the same ones.
    pub fn secrets(&self, test_id: Uuid) -> Result<Secrets, LinkError> {
        let (_, connection) = self.wire.stream().get_ref();
        Secrets::export(test_id, |out, label, context| {
            connection.export_keying_material(out, label, context).map(|_| ())
        })
        .map_err(LinkError::Exporter)
    }

    /// Says goodbye and closes. Sessions that still run end as `client_vanished`: close them first.
    pub async fn close(mut self) {
        // Out of time is as good: the socket is dropped either way.
        let _ = timeout(GOODBYE, self.wire.shutdown()).await;
    }

    /// One question, its answer. What comes unasked meanwhile is kept.
    async fn ask(&mut self, asked: &'static str, payload: Message) -> Result<Message, LinkError> {
        self.ask_for(ANSWER, asked, payload).await
    }

    async fn ask_for(
        &mut self,
        patience: Duration,
        asked: &'static str,
        payload: Message,
    ) -> Result<Message, LinkError> {
        self.asked += 1;
        let request_id = format!("c-{}", self.asked);
        let question = Envelope { request_id, payload };
        let (ours, wire, results) = (self.ours, &mut self.wire, &mut self.results);
        let answer = within(patience, asked, async {
            wire.write(&question, asked).await?;
            loop {
                let answer = wire.read(asked).await?;
                match answer.payload {
                    Message::SessionResult(result) => keep(results, *result),
                    payload if answer.request_id == question.request_id => return Ok(payload),
                    // Without an id it concerns the connection, and ends it.
                    Message::Error { code, message } if answer.request_id.is_empty() => {
                        return Err(LinkError::Refused { asked, code, message });
                    }
                    other => tracing::debug!(got = name(&other), "answer to nothing skipped"),
                }
            }
        });
        match answer.await? {
            // All but pairing, and a session of somebody else: said to those who got in because a window is open.
            Message::Error { code: FORBIDDEN, .. } if asked != "session_close" => {
                Err(LinkError::NotPaired { message: NOT_YET.to_owned(), ours })
            }
            Message::Error { code, message } => Err(LinkError::Refused { asked, code, message }),
            payload => Ok(payload),
        }
    }

    fn keep(&mut self, message: Message) {
        match message {
            Message::SessionResult(result) => keep(&mut self.results, *result),
            other => tracing::debug!(got = name(&other), "unasked message skipped"),
        }
    }
}

fn keep(results: &mut VecDeque<SessionResult>, result: SessionResult) {
    if results.len() == MAX_RESULTS {
        results.pop_front();
    }
    results.push_back(result);
}

async fn hello(wire: &mut Wire<TlsStream<TcpStream>>, ours: EndpointId) -> Result<ServerHello, LinkError> {
    let during = "hello";
    let payload = Message::Hello { version: VERSION.to_owned(), features: FEATURES.names() };
    wire.write(&Envelope { request_id: "hello".to_owned(), payload }, during).await?;
    match wire.read(during).await?.payload {
        Message::ServerHello(hello) => Ok(hello),
        Message::Error { code: FORBIDDEN, message } => Err(LinkError::of_refusal(message, ours)),
        Message::Error { code, message } => Err(LinkError::Refused { asked: during, code, message }),
        other => Err(unexpected(during, &other)),
    }
}

async fn within<T>(
    limit: Duration,
    during: &'static str,
    work: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    timeout(limit, work).await.unwrap_or(Err(LinkError::Timeout { during, seconds: limit.as_secs() }))
}

const fn unexpected(asked: &'static str, got: &Message) -> LinkError {
    LinkError::Unexpected { asked, got: name(got) }
}
