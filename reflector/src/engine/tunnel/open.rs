//! The client's side of opening a stream.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::engine::secrets::Secrets;

use super::Proof;
use super::hello::{Answer, Hello, Kind};
use super::stream::{OpenError, TunnelStream};

/// A grant, and the keys its control connection made: what every stream of a test is opened with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The session.
    pub test_id: Uuid,
    /// The bearer token of its grant.
    pub token: Uuid,
    /// Keys of the control connection for this test.
    pub secrets: Arc<Secrets>,
}

/// Opens stream `number` on a connection to the control port. `config` pins the reflector's key, presents the identity
/// of the control connection and asks for [`crate::link::tls::Alpn::Data`].
pub async fn open(
    tcp: TcpStream,
    config: Arc<ClientConfig>,
    credentials: &Credentials,
    number: u32,
    kind: Kind,
) -> Result<TunnelStream, OpenError> {
    tcp.set_nodelay(true)?;
    let mut stream = TunnelStream::connect(tcp, config).await?;
    let Credentials { test_id, token, secrets } = credentials;
    let proof = Proof::of(secrets, *test_id, number);
    let hello = Hello { test_id: *test_id, token: *token, stream: number, kind, proof };
    stream.say(&hello.frame()?).await?;
    match Answer::read(&stream.frame().await?)? {
        Answer::Ok => Ok(stream),
        Answer::Refused(reason) => {
            stream.close().await;
            Err(OpenError::Refused(reason))
        }
    }
}
