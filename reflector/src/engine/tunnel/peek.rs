//! What a TLS client wants, before anything of it is read: the two kinds of connection are built differently.

use std::io;

use rustix::net::RecvFlags;
use rustls::server::Acceptor;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::link::tls::Alpn;

use super::tls::HANDSHAKE_INPUT;

/// Header of a TLS record.
const RECORD_HEADER: usize = 5;

/// Whether the `ClientHello` that arrives asks for `pp-data/1`. Waits until that can be said, so the caller's handshake
/// deadline is over it. What is no `ClientHello`, or too long for one, does not ask: whoever reads it says what is wrong.
/// Nothing is read.
pub async fn asks_for_data(tcp: &TcpStream) -> io::Result<bool> {
    let mut seen = 0;
    loop {
        // Bytes that were seen before leave the socket readable; only more of them are news.
        let bytes = tcp.async_io(Interest::READABLE, || match peek(tcp)? {
            bytes if bytes.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            bytes if bytes.len() <= seen => Err(io::ErrorKind::WouldBlock.into()),
            bytes => Ok(bytes),
        });
        let bytes = bytes.await?;
        seen = bytes.len();
        match look(&bytes) {
            Look::Incomplete if seen < HANDSHAKE_INPUT => {}
            verdict => return Ok(verdict == Look::Data),
        }
    }
}

/// All that has arrived, up to what a handshake may have. The buffer lives only while it is looked at.
fn peek(tcp: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HANDSHAKE_INPUT];
    let (count, _) = rustix::net::recv(tcp, bytes.as_mut_slice(), RecvFlags::PEEK)?;
    bytes.truncate(count);
    Ok(bytes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Incomplete,
    Data,
    Other,
}

/// Reads a `ClientHello` from its first byte. One that comes byte by byte is parsed once, not once per byte.
fn look(bytes: &[u8]) -> Look {
    let [_, _, _, high, low, ..] = bytes else { return Look::Incomplete };
    let record = RECORD_HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    if bytes.len() < record && bytes.len() < HANDSHAKE_INPUT {
        return Look::Incomplete;
    }
    let (mut acceptor, mut left) = (Acceptor::default(), bytes);
    while !left.is_empty() {
        if acceptor.read_tls(&mut left).is_err() {
            return Look::Other;
        }
        match acceptor.accept() {
            Err(_) => return Look::Other,
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let data = Alpn::Data.as_str().as_bytes();
                let asks = accepted.client_hello().alpn().is_some_and(|mut names| names.any(|name| name == data));
                return if asks { Look::Data } else { Look::Other };
            }
        }
    }
    Look::Incomplete
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::ClientConfig;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::engine::tunnel::tls::Tls;
    use crate::identity::{Current, Identity};
    use crate::link::tls::client_config;

    fn config(protocol: Alpn) -> Arc<ClientConfig> {
        let now = jiff::Timestamp::constant(1_800_000_000, 0);
        let us = Current::new(Identity::from_seed(&[1; 32]), None, now).unwrap();
        client_config(&us.credentials, None, protocol).unwrap()
    }

    fn hello(config: Arc<ClientConfig>) -> Vec<u8> {
        let mut tls = Tls::client(config).unwrap();
        tls.handshake().unwrap();
        tls.outgoing().to_vec()
    }

    #[test]
    fn only_a_whole_hello_that_names_the_protocol_asks_for_data() {
        let data = hello(config(Alpn::Data));
        assert_eq!(look(&data), Look::Data);
        assert_eq!(look(&hello(config(Alpn::Link))), Look::Other);
        let mut none = (*config(Alpn::Link)).clone();
        none.alpn_protocols.clear();
        assert_eq!(look(&hello(Arc::new(none))), Look::Other);
        for end in 0..data.len() {
            assert_eq!(look(&data[..end]), Look::Incomplete, "{end}");
        }
        assert_eq!(look(&[0x16, 3, 1, 0, 4, 9, 9, 9, 9]), Look::Other);
        // Split over two records, as RFC 8446 section 5.1 allows.
        let (first, second) = data[5..].split_at(100);
        let record = |part: &[u8]| [&[0x16, 3, 1, 0, u8::try_from(part.len() % 256).unwrap()][..], part].concat();
        let mut split = record(first);
        assert_eq!(look(&split), Look::Incomplete);
        let mut rest = record(second);
        rest[3] = u8::try_from(second.len() / 256).unwrap();
        split.extend(rest);
        assert_eq!(look(&split), Look::Data);
    }

    #[tokio::test]
    async fn a_hello_that_comes_in_pieces_is_waited_for_and_left_unread() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        near.set_nodelay(true).unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let data = hello(config(Alpn::Data));
        let asks = tokio::spawn(async move {
            let asks = asks_for_data(&far).await.unwrap();
            (asks, peek(&far).unwrap().len())
        });
        for byte in &data {
            near.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let (asks, unread) = timeout(Duration::from_secs(10), asks).await.unwrap().unwrap();
        assert!(asks);
        assert_eq!(unread, data.len());
    }

    #[tokio::test]
    async fn bytes_without_end_that_are_no_hello_do_not_ask() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        near.write_all(&vec![0x16; HANDSHAKE_INPUT]).await.unwrap();
        assert!(!timeout(Duration::from_secs(10), asks_for_data(&far)).await.unwrap().unwrap());
        drop(near);
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        drop(near);
        assert!(asks_for_data(&far).await.is_err());
    }
}
