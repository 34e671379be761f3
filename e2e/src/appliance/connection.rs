//! A conversation with a reflector: one question, one answer.
//!
//! In: requests. Out: payloads as JSON, read as strictly as an appliance reads them. Every wait ends after the connection's
//! deadline with an error that says what was awaited. A read that is cancelled loses nothing; a write may be cut in two.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::answer::Answer;
use super::certificate::endpoint_id_of_certificate;
use super::ending::Ending;
use super::error::Error;
use super::frame;
use super::request::{self, Test, envelope};
use super::strict::{Abort, check};

/// What appliances list in their hello.
const FEATURES: [&str; 2] = ["throughput", "udp_echo"];
/// One TLS record.
const READ_AHEAD: usize = 16 * 1024;

/// How a connection ended, and what came before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The end.
    pub how: Ending,
    /// What had arrived and was not yet read as a frame.
    pub unread: Vec<u8>,
}

/// An open connection. Dropping it closes TCP without a TLS goodbye.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
    asked: u64,
    wait: Duration,
    server: SocketAddr,
    local: SocketAddr,
}

impl Connection {
    pub(crate) fn new(stream: TlsStream<TcpStream>, wait: Duration) -> io::Result<Self> {
        let (server, local) = (stream.get_ref().0.peer_addr()?, stream.get_ref().0.local_addr()?);
        Ok(Self { stream, received: Vec::new(), asked: 0, wait, server, local })
    }

    /// Says hello as appliances do; returns the payload of the `server_hello`.
    pub async fn hello(&mut self) -> Result<Value, Error> {
        self.hello_with(&FEATURES).await
    }

    /// Says hello with other features.
    pub async fn hello_with(&mut self, features: &[&str]) -> Result<Value, Error> {
        let answer = self.exchange("init-0", &request::hello(features), "server_hello").await?;
        expect(answer, "server_hello")
    }

    /// Presents a pairing code; returns the payload of the `pair_response`, whether it succeeded or not.
    pub async fn pair(&mut self, code: &str) -> Result<Value, Error> {
        let answer = self.ask(&request::pair_request(code), "pair_response").await?;
        expect(answer, "pair_response")
    }

    /// Asks for a session.
    pub async fn request(&mut self, test: &Test) -> Result<Answer, Error> {
        let payload = request::session_request(&test.test_type, &test.params());
        let answer = self.ask(&payload, "session_grant").await?;
        if answer.get("type").and_then(Value::as_str) == Some("error") {
            return Err(Error::refused(&answer));
        }
        Answer::read(answer.clone(), self.server.ip(), self.local.ip())
            .ok_or(Error::Unexpected { expected: "session_grant or session_deny", got: answer })
    }

    /// Asks for a session with whatever parameters; returns whatever payload comes, `error` included.
    pub async fn request_raw(&mut self, test_type: &str, params: Value) -> Result<Value, Error> {
        self.ask(&request::session_request(test_type, &params), "answer to a raw session_request").await
    }

    /// Returns the payload of the `status_snapshot`.
    pub async fn status(&mut self) -> Result<Value, Error> {
        let answer = self.ask(&request::bare("get_status"), "status_snapshot").await?;
        expect(answer, "status_snapshot")
    }

    /// Returns the payload of `path_meta`.
    pub async fn path_meta(&mut self) -> Result<Value, Error> {
        let answer = self.ask(&request::bare("get_path_meta"), "path_meta").await?;
        expect(answer, "path_meta")
    }

    /// Closes a session: `ok`, or the server's `error`. Real appliances never send this.
    pub async fn close_session(&mut self, test_id: &str) -> Result<(), Error> {
        let answer = self.ask(&request::session_close(test_id), "ok").await?;
        expect(answer, "ok").map(drop)
    }

    /// Sends any payload under the next request id and returns the payload of its answer, `error` included.
    pub async fn ask(&mut self, payload: &Value, awaited: &'static str) -> Result<Value, Error> {
        self.asked += 1;
        let request_id = format!("req-{}", self.asked);
        self.exchange(&request_id, payload, awaited).await
    }

    /// Sends bytes as they are, inside TLS: frames of one's own making, or less.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let awaited = "room to write";
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(self.wait, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::ended(awaited, error)),
            Err(_) => Err(Error::Deadline { awaited, after: self.wait }),
        }
    }

    /// The next frame, whatever it says: the whole envelope, not judged.
    pub async fn read_frame(&mut self) -> Result<Value, Error> {
        self.next_frame("frame").await
    }

    /// Reads until the connection ends, or until the deadline.
    pub async fn read_raw_until_closed(&mut self) -> Closed {
        let how = match timeout(self.wait, self.read_to_the_end()).await {
            Ok(how) => how,
            Err(_) => Ending::Deadline,
        };
        Closed { how, unread: std::mem::take(&mut self.received) }
    }

    /// Closes as a well-behaved client does, with a TLS goodbye.
    pub async fn close(mut self) -> Result<(), Error> {
        let awaited = "the TLS goodbye to be sent";
        match timeout(self.wait, self.stream.shutdown()).await {
            Ok(done) => done.map_err(|error| Error::ended(awaited, error)),
            Err(_) => Err(Error::Deadline { awaited, after: self.wait }),
        }
    }

    /// Ends with a TCP reset, as a process does that dies with unread data.
    pub fn abort(self) -> io::Result<()> {
        socket2::SockRef::from(self.stream.get_ref().0).set_linger(Some(Duration::ZERO))
    }

    /// The deadline of every wait from now on.
    pub fn set_wait(&mut self, wait: Duration) {
        self.wait = wait;
    }

    /// Our end.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The ALPN protocol the server chose.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.stream.get_ref().1.alpn_protocol()
    }

    /// The ID of the key the server proved to hold.
    pub fn server_endpoint_id(&self) -> Option<String> {
        endpoint_id_of_certificate(self.stream.get_ref().1.peer_certificates()?.first()?)
    }

    /// Writes a request and reads until its answer. A server that refuses us may close before it reads the request: then
    /// the failed write hides the reason, which is in what there is to read.
    async fn exchange(
        &mut self,
        request_id: &str,
        payload: &Value,
        awaited: &'static str,
    ) -> Result<Value, Error> {
        let sent = self.send_raw(&frame::encode(&envelope(request_id, payload))).await;
        let answer = self.answer_to(request_id, awaited).await;
        match (sent, answer) {
            (Err(unsent), Err(unanswered)) if unanswered.alert().is_none() => Err(unsent),
            (_, answer) => answer,
        }
    }

    /// Skips what answers other requests, but reads it as strictly.
    async fn answer_to(&mut self, request_id: &str, awaited: &'static str) -> Result<Value, Error> {
        loop {
            let mut answer = self.next_frame(awaited).await?;
            let Some(payload) = answer.get_mut("payload").map(Value::take) else {
                return Err(Abort(format!("no payload in {answer}")).into());
            };
            check(&payload)?;
            if answer.get("request_id").and_then(Value::as_str) == Some(request_id) {
                return Ok(payload);
            }
        }
    }

    async fn next_frame(&mut self, awaited: &'static str) -> Result<Value, Error> {
        let wait = self.wait;
        let read = async {
            loop {
                if let Some(payload) = frame::take(&mut self.received)? {
                    return serde_json::from_slice(&payload).map_err(Error::Json);
                }
                match self.fill().await {
                    Ok(0) => return Err(Error::Ended { awaited, how: Ending::CloseNotify }),
                    Ok(_) => {}
                    Err(error) => return Err(Error::ended(awaited, error)),
                }
            }
        };
        match timeout(wait, read).await {
            Ok(frame) => frame,
            Err(_) => Err(Error::Deadline { awaited, after: wait }),
        }
    }

    async fn read_to_the_end(&mut self) -> Ending {
        loop {
            match self.fill().await {
                Ok(0) => return Ending::CloseNotify,
                Ok(_) => {}
                // What is no end of a connection is still the end of reading it.
                Err(error) => return Ending::of(&error).unwrap_or(Ending::Reset),
            }
        }
    }

    /// Reads once. Cancel-safe: bytes are either still in TLS or already in `received`.
    async fn fill(&mut self) -> io::Result<usize> {
        self.received.reserve(READ_AHEAD);
        self.stream.read_buf(&mut self.received).await
    }
}

/// The payload if it is of the type asked for.
fn expect(payload: Value, expected: &'static str) -> Result<Value, Error> {
    match payload.get("type").and_then(Value::as_str) {
        Some(kind) if kind == expected => Ok(payload),
        Some("error") => Err(Error::refused(&payload)),
        _ => Err(Error::Unexpected { expected, got: payload }),
    }
}
