//! A tunneled stream as an async stream.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::bed::Bed;

/// E9
#[tokio::test]
async fn both_directions_carry_every_byte_and_a_goodbye_ends_one() {
    let mut bed = Bed::start().await;
    let (near, mut far) = bed.pair(0).await;
    let (mut reads, mut writes) = tokio::io::split(near);
    let echo = tokio::spawn(async move {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        far.write_all(&all).await.unwrap();
        far.shutdown().await.unwrap();
        far.ciphertext_received()
    });
    let text: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    writes.write_all(&text).await.unwrap();
    writes.shutdown().await.unwrap();
    let mut answer = Vec::new();
    reads.read_to_end(&mut answer).await.unwrap();
    assert!(answer == text);
    assert!(echo.await.unwrap() > 1_000_000, "records have headers and tags");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_no_clean_end() {
    let mut bed = Bed::start().await;
    let (mut near, mut far) = bed.pair(1).await;
    near.write_all(b"half").await.unwrap();
    near.flush().await.unwrap();
    let mut four = [0; 4];
    far.read_exact(&mut four).await.unwrap();
    // The socket's own end of transmission, without a word of TLS.
    socket2::SockRef::from(near.tcp()).shutdown(std::net::Shutdown::Write).unwrap();
    let error = far.read(&mut four).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
}

/// What `connect` does with it.
#[tokio::test]
async fn it_can_be_relayed_to_a_plain_connection() {
    let mut bed = Bed::start().await;
    let (mut near, mut far) = bed.pair(2).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plain = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut inside, _) = listener.accept().await.unwrap();
    let relay = tokio::spawn(async move { copy_bidirectional(&mut inside, &mut near).await });
    plain.write_all(b"question").await.unwrap();
    plain.shutdown().await.unwrap();
    let mut text = String::new();
    far.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "question");
    far.write_all(b"answer!").await.unwrap();
    far.shutdown().await.unwrap();
    text.clear();
    plain.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "answer!");
    assert_eq!(relay.await.unwrap().unwrap(), (8, 7));
}
