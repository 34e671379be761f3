//! Sockets that are no TLS clients.

use std::time::Duration;

use e2e::appliance::{Closed, Ending, raw};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::{Bed, Good, denied, loopback, until_metric};

const RESET: Closed = Closed { how: Ending::Reset, unread: Vec::new() };

/// E3: a cookie is 36 symbols and a NUL; without a live grant of that address it is one clean reset, whole or not.
#[tokio::test]
async fn a_cookie_without_a_grant_is_reset() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let cookie = b"abcdefghijklmnopqrstuvwxyz234567abcd\0";
    let mut socket = raw::connect(bed.addr, Some(loopback(2))).await.unwrap();
    socket.write_all(cookie).await.unwrap();
    assert_eq!(good.during(raw::read_until_closed(&mut socket)).await, RESET);
    until_metric(&bed, "reflector_stray_connections_total{kind=\"unexpected_cookie\"}", 1.0).await;

    let began = Instant::now();
    let mut socket = raw::connect(bed.addr, Some(loopback(2))).await.unwrap();
    socket.write_all(&cookie[..20]).await.unwrap();
    assert_eq!(good.during(raw::read_until_closed(&mut socket)).await, RESET);
    assert!(began.elapsed() >= Duration::from_secs(3), "a slow cookie has its 3 s: {:?}", began.elapsed());
    until_metric(&bed, "reflector_stray_connections_total{kind=\"unexpected_cookie\"}", 2.0).await;
    let line = denied(&bed, "unexpected_cookie").await;
    assert_eq!(line["source"], "127.0.0.2");
}

/// P9
#[tokio::test]
async fn what_is_neither_tls_nor_a_cookie_is_reset() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    let first_words: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\0", b"\x80", b"\x17\x03\x03"];
    for words in first_words {
        let mut socket = raw::connect(bed.addr, Some(loopback(2))).await.unwrap();
        socket.write_all(words).await.unwrap();
        assert_eq!(good.during(raw::read_until_closed(&mut socket)).await, RESET, "{words:?}");
    }
    until_metric(&bed, "reflector_stray_connections_total{kind=\"not_tls\"}", 5.0).await;
    denied(&bed, "not_tls").await;
}
