//! Below TLS: bare sockets, a hand-made `ClientHello`, alerts in the clear.
//!
//! For what no TLS library of today would send. Every wait ends after [`WAIT`].

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connect::dial;
use super::ending::Ending;
use super::{WAIT, connection::Closed};

const RECORD_ALERT: u8 = 21;
const RECORD_HANDSHAKE: u8 = 22;
/// More than any server says before it closes; a bound, so that a chatty one cannot fill memory.
const MAX_UNREAD: usize = 2 * 1024 * 1024;

/// A TCP connection, from a given address if one matters.
pub async fn connect(addr: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    within(dial(addr, source, None)).await
}

/// A complete record with the `ClientHello` of a client that knows TLS 1.2 and nothing newer: there is no
/// `supported_versions` extension. Everything else in it would suit a 1.2 server.
pub fn tls12_client_hello() -> Vec<u8> {
    // ECDHE with AES-GCM, for ECDSA and RSA certificates, and the renegotiation signal.
    let suites = u16s(&[0xc02b, 0xc02c, 0xc02f, 0xc030, 0x00ff]);
    let host_name = [&[0], sized16(b"reflector").as_slice()].concat();
    let extensions = [
        extension(0, &sized16(&host_name)),
        // x25519, secp256r1
        extension(10, &sized16(&u16s(&[0x001d, 0x0017]))),
        // uncompressed points
        extension(11, &[1, 0]),
        // ed25519, rsa_pss_rsae_sha256
        extension(13, &sized16(&u16s(&[0x0807, 0x0804]))),
        // extended master secret
        extension(23, &[]),
    ]
    .concat();
    let random: [u8; 32] = *b"a client hello of the year 2008.";
    let body = [
        [3, 3].as_slice(),
        &random,
        &[0],
        &sized16(&suites),
        // no compression
        &[1, 0],
        &sized16(&extensions),
    ]
    .concat();
    // A handshake header has a 24-bit length: a zero byte in front of the 16-bit one.
    let handshake = [[1, 0].as_slice(), &sized16(&body)].concat();
    [[RECORD_HANDSHAKE, 3, 1].as_slice(), &sized16(&handshake)].concat()
}

/// Reads one unencrypted alert record: its level (2 is fatal) and description. Any other record is an error.
pub async fn read_alert(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, u8)> {
    let mut record = [0; 7];
    within(stream.read_exact(&mut record)).await?;
    match record {
        [RECORD_ALERT, 3, _, 0, 2, level, description] => Ok((level, description)),
        other => Err(io::Error::new(io::ErrorKind::InvalidData, format!("no alert but {other:02x?}"))),
    }
}

/// Reads until the server closes or resets, or until the deadline.
pub async fn read_until_closed(stream: &mut (impl AsyncRead + Unpin)) -> Closed {
    let mut unread = Vec::new();
    let read = async {
        let mut chunk = [0; 4096];
        loop {
            match stream.read(&mut chunk).await {
                Ok(0) => return Ending::Fin,
                Ok(count) if unread.len() < MAX_UNREAD => unread.extend(chunk.iter().take(count)),
                Ok(_) => {}
                Err(error) => return Ending::of(&error).unwrap_or(Ending::Reset),
            }
        }
    };
    let how = timeout(WAIT, read).await.unwrap_or(Ending::Deadline);
    Closed { how, unread }
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(WAIT, work).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing within {WAIT:?}"))),
    }
}

/// Bytes behind their length in two bytes.
fn sized16(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), bytes].concat()
}

fn u16s(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

fn extension(number: u16, content: &[u8]) -> Vec<u8> {
    [number.to_be_bytes().as_slice(), &sized16(content)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustls_reads_the_hello_as_a_whole_one() {
        let hello = tls12_client_hello();
        let mut acceptor = rustls::server::Acceptor::default();
        let count = acceptor.read_tls(&mut hello.as_slice()).unwrap();
        assert_eq!(count, hello.len());
        let accepted = acceptor.accept().unwrap().expect("one record is the whole hello");
        let parsed = accepted.client_hello();
        assert_eq!(parsed.server_name(), Some("reflector"));
        assert_eq!(parsed.cipher_suites().len(), 5);
        assert!(parsed.signature_schemes().contains(&rustls::SignatureScheme::ED25519));
        assert!(parsed.alpn().is_none());
    }

    #[test]
    fn the_hello_carries_no_supported_versions() {
        // 43 is supported_versions; walk the extensions as a server does.
        let hello = tls12_client_hello();
        let body = &hello[9..];
        let suites = 35 + usize::from(u16::from_be_bytes([body[35], body[36]])) + 2;
        let mut extensions = &body[suites + 2 + 2..];
        let mut seen = Vec::new();
        while let [high, low, len_high, len_low, rest @ ..] = extensions {
            seen.push(u16::from_be_bytes([*high, *low]));
            extensions = &rest[usize::from(u16::from_be_bytes([*len_high, *len_low]))..];
        }
        assert_eq!(seen, [0, 10, 11, 13, 23]);
    }

    #[tokio::test]
    async fn an_alert_is_read_and_anything_else_is_named() {
        let alert = read_alert(&mut [21, 3, 3, 0, 2, 2, 70].as_slice()).await.unwrap();
        assert_eq!(alert, (2, 70));
        let error = read_alert(&mut b"HTTP/1.1 400".as_slice()).await.unwrap_err();
        assert!(error.to_string().starts_with("no alert but"), "{error}");
    }
}
