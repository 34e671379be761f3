//! The data client against a few lines of test engine.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use super::super::{Direction, Ending, WAIT};
use super::*;

const TOKEN: &str = "7f0c9d0e-6a52-4c0b-8f63-0f6a7f6f6b11";

fn target(addr: SocketAddr) -> Target {
    Target { addr, source: None, token: TOKEN.into() }
}

/// An engine for one stream; checks the token, hands over the direction.
async fn engine<T: Send + 'static, F: Future<Output = T> + Send>(
    script: impl FnOnce(TcpStream, u8) -> F + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await.unwrap();
        assert_eq!(&header[..36], TOKEN.as_bytes());
        script(stream, header[36]).await
    });
    (addr, task)
}

async fn read_all(mut stream: TcpStream) -> usize {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap()
}

/// Waits until a transfer has moved so many bytes.
async fn moved<T: Send + 'static>(running: &Running<T>, bytes: u64) {
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let enough = async {
        while running.bytes() < bytes {
            tick.tick().await;
        }
    };
    tokio::time::timeout(WAIT, enough).await.unwrap();
}

#[tokio::test]
async fn an_upload_of_an_exact_size_arrives_whole() {
    let (addr, task) = engine(|stream, direction| async move { (direction, read_all(stream).await) }).await;
    let limits = Limits { bytes: Some(1_000_003), ..Limits::default() };
    let moved = transfer(&target(addr), Direction::Upload, limits).finish().await.unwrap();
    let expected = Moved { bytes: 1_000_003, ended_by: EndedBy::Client, how: Some(Ending::Fin) };
    assert_eq!(moved, expected);
    assert_eq!(task.await.unwrap(), (b'u', 1_000_003));
}

#[tokio::test]
async fn a_download_counts_what_the_server_sent_until_it_closed() {
    let (addr, task) = engine(|mut stream, direction| async move {
        stream.write_all(&vec![1; 777_777]).await.unwrap();
        direction
    })
    .await;
    let moved = transfer(&target(addr), Direction::Download, Limits::default()).finish().await.unwrap();
    assert_eq!(moved, Moved { bytes: 777_777, ended_by: EndedBy::Server, how: Some(Ending::Fin) });
    assert_eq!(task.await.unwrap(), b'd');
}

#[tokio::test]
async fn an_upload_is_cut_by_the_server() {
    let (addr, task) = engine(|mut stream, _| async move {
        stream.read_exact(&mut vec![0; 300_000]).await.unwrap();
    })
    .await;
    let moved = transfer(&target(addr), Direction::Upload, Limits::default()).finish().await.unwrap();
    task.await.unwrap();
    assert!(moved.bytes >= 300_000, "{moved:?}");
    assert_eq!(moved.ended_by, EndedBy::Server);
    assert!(matches!(moved.how, Some(Ending::Fin | Ending::Reset)), "{moved:?}");
}

#[tokio::test]
async fn a_stopped_upload_has_written_what_the_server_read() {
    let (addr, task) = engine(|stream, _| read_all(stream)).await;
    let limits = Limits { rate: Some(5_000_000), ..Limits::default() };
    let running = transfer(&target(addr), Direction::Upload, limits);
    moved(&running, 100_000).await;
    running.stop();
    let moved = running.finish().await.unwrap();
    assert_eq!(moved.ended_by, EndedBy::Client);
    assert_eq!(u64::try_from(task.await.unwrap()).unwrap(), moved.bytes);
}

#[tokio::test]
async fn time_and_bytes_limit_a_download() {
    let endless =
        |mut stream: TcpStream, _| async move { while stream.write_all(&[2; 4096]).await.is_ok() {} };
    let (addr, task) = engine(endless).await;
    let limits = Limits { bytes: Some(50_001), ..Limits::default() };
    let moved = transfer(&target(addr), Direction::Download, limits).finish().await.unwrap();
    assert_eq!(moved, Moved { bytes: 50_001, ended_by: EndedBy::Client, how: None });
    task.await.unwrap();
    let (addr, task) = engine(endless).await;
    let limits = Limits { time: Some(Duration::from_millis(50)), rate: Some(1_000_000), ..Limits::default() };
    let moved = transfer(&target(addr), Direction::Download, limits).finish().await.unwrap();
    assert_eq!((moved.ended_by, moved.how), (EndedBy::Client, None));
    task.await.unwrap();
}

#[tokio::test]
async fn a_dropped_transfer_closes_its_socket() {
    let (addr, task) = engine(|mut stream, _| async move {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let running = transfer(&target(addr), Direction::Upload, Limits::default());
    moved(&running, 1).await;
    drop(running);
    tokio::time::timeout(WAIT, task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_closed_data_port_is_an_error_that_names_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = transfer(&target(addr), Direction::Upload, Limits::default()).finish().await.unwrap_err();
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[tokio::test]
async fn echoed_datagrams_are_counted_and_foreign_ones_told_apart() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut buffer = [0; 2048];
        for number in 0..5 {
            let (count, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..36], TOKEN.as_bytes());
            match number {
                // One is lost, one comes back changed.
                1 => {}
                3 => drop(server.send_to(&buffer[..count - 1], from).await.unwrap()),
                _ => drop(server.send_to(&buffer[..count], from).await.unwrap()),
            }
        }
    });
    let plan = Echo { packets: 5, size: 100, reply_wait: Duration::from_millis(300) };
    let echoed = echo(&target(addr), plan).finish().await.unwrap();
    task.await.unwrap();
    let expected =
        Echoed { sent: 5, received: 3, foreign: 1, bytes_sent: 500, bytes_received: 300, how: None };
    assert_eq!(echoed, expected);
}

#[tokio::test]
async fn an_echo_port_that_is_gone_ends_the_echo() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    drop(server);
    let plan = Echo { packets: 1000, size: 44, reply_wait: WAIT };
    let echoed = echo(&target(addr), plan).finish().await.unwrap();
    assert_eq!((echoed.how, echoed.received), (Some(Ending::Reset), 0));
}
