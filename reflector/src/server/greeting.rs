//! The first words of a TLS client: read without answering, because what the connection is for decides who answers.
//!
//! A control connection goes on with what is read here; a data connection is handed on byte for byte, because its TLS
//! runs without buffers.

use std::io;

use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::link::tls::{self, Alpn};
use crate::reason::RefuseReason;

use super::gate::Refused;
use super::limits::{CLIENT_HELLO, GOODBYE};

/// Read at a time; a `ClientHello` of ours has about 300 bytes.
const PIECE: usize = 1024;

/// A `ClientHello` that can be answered.
pub(super) struct Greeting {
    /// For a control connection.
    pub(super) accepted: Accepted,
    /// For a data connection: all that was read.
    pub(super) received: Vec<u8>,
    /// Nothing was written to it.
    pub(super) stream: TcpStream,
}

/// Reads a `ClientHello`. The caller has a deadline.
pub(super) async fn greet(mut stream: TcpStream) -> Result<Greeting, Refused> {
    let mut received = Vec::new();
    let mut acceptor = Acceptor::default();
    loop {
        let before = received.len();
        received.reserve(PIECE);
        // No more at once than rustls takes between two looks at it.
        match (&mut stream).take(PIECE as u64).read_buf(&mut received).await {
            Ok(1..) => {}
            Ok(0) => return Err(broken(io::ErrorKind::UnexpectedEof)),
            Err(error) => return Err(broken(error.kind())),
        }
        let mut fresh = received.get(before..).unwrap_or_default();
        while !fresh.is_empty() {
            if let Err(error) = acceptor.read_tls(&mut fresh) {
                return Err(broken(error.kind()));
            }
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(Greeting { accepted, received, stream }),
            Ok(None) if received.len() <= CLIENT_HELLO => {}
            Ok(None) => {
                let detail = Some(format!("a ClientHello of more than {CLIENT_HELLO} bytes"));
                return Err(Refused { detail, ..Refused::because(RefuseReason::HandshakeFailed) });
            }
            Err((error, mut alert)) => {
                let mut words = Vec::new();
                // Into memory: cannot fail.
                let _ = alert.write_all(&mut words);
                let _ = timeout(GOODBYE, async {
                    stream.write_all(&words).await?;
                    stream.shutdown().await
                })
                .await;
                return Err(Refused::by_tls(&error));
            }
        }
    }
}

impl Greeting {
    /// Names the protocol of data connections, and not that of control connections too.
    pub(super) fn is_data(&self) -> bool {
        let hello = self.accepted.client_hello();
        let names = |protocol: Alpn| {
            hello.alpn().is_some_and(|mut offered| offered.any(|name| name == protocol.as_str().as_bytes()))
        };
        names(Alpn::Data) && !names(Alpn::Link)
    }
}

fn broken(kind: io::ErrorKind) -> Refused {
    Refused { detail: Some(kind.to_string()), ..Refused::because(RefuseReason::HandshakeFailed) }
}

/// The answer to a client that names no protocol where one is required.
pub(super) async fn refuse_without_alpn(mut stream: TcpStream) {
    let _ = timeout(GOODBYE, async {
        stream.write_all(&tls::NO_APPLICATION_PROTOCOL).await?;
        stream.shutdown().await
    })
    .await;
}
