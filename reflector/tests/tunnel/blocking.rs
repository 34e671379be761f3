//! A tunneled stream on data threads.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use reflector::engine::purse::{Limited, Unlimited};
use reflector::engine::streams::{End, Streams, TcpSink, TcpSource};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::bed::{Bed, PATIENCE};

const BYTES: u64 = 20_000_003;

/// E9
#[tokio::test(flavor = "multi_thread")]
async fn data_threads_move_and_count_payload_through_it() {
    let mut bed = Bed::start().await;
    let (near, far) = bed.pair(1).await;
    let mut sources = Streams::new(Arc::new(Limited::new(BYTES)));
    let mut sinks = Streams::new(Arc::new(Unlimited));
    let link = near.into_blocking().unwrap().into_link();
    sources.tcp_source("source", link, TcpSource::default()).unwrap();
    sinks.tcp_sink("sink", far.into_blocking().unwrap().into_link(), TcpSink::default()).unwrap();
    sinks.start();
    sources.start();
    timeout(PATIENCE, sources.all_ended()).await.unwrap();
    timeout(PATIENCE, sinks.all_ended()).await.unwrap();
    let (source, sink) = (sources.iter().next().unwrap(), sinks.iter().next().unwrap());
    assert!(matches!(source.end(), Some(End::NoBudget)), "{:?}", source.end());
    assert!(matches!(sink.end(), Some(End::PeerClosed)), "{:?}", sink.end());
    assert_eq!((source.counters().bytes(), sink.counters().bytes()), (BYTES, BYTES));
}

/// Bytes that came along with the end of the opening are not lost on the way to the thread.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_the_thread_took_over_is_counted() {
    let mut bed = Bed::start().await;
    let (mut near, mut far) = bed.pair(1).await;
    near.write_all(&vec![7; 50_000]).await.unwrap();
    near.flush().await.unwrap();
    near.shutdown().await.unwrap();
    let mut cookie = [0; 37];
    tokio::io::AsyncReadExt::read_exact(&mut far, &mut cookie).await.unwrap();
    let mut sinks = Streams::new(Arc::new(Unlimited));
    sinks.tcp_sink("sink", far.into_blocking().unwrap().into_link(), TcpSink::default()).unwrap();
    sinks.start();
    timeout(PATIENCE, sinks.all_ended()).await.unwrap();
    assert_eq!(sinks.iter().next().unwrap().counters().bytes(), 50_000 - 37);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_costs_a_call_its_timeout_and_no_byte() {
    let mut bed = Bed::start().await;
    let (near, far) = bed.pair(1).await;
    let (waited, far) = tokio::task::spawn_blocking(move || {
        let mut far = far.into_blocking().unwrap();
        far.tcp().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        (far.read(&mut [0; 10]).unwrap_err(), far)
    })
    .await
    .unwrap();
    assert!(matches!(waited.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waited}");
    let mut near = near;
    near.write_all(b"now").await.unwrap();
    near.flush().await.unwrap();
    let got = tokio::task::spawn_blocking(move || {
        let mut far = far;
        far.tcp().set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = [0; 10];
        let count = far.read(&mut text).unwrap();
        text[..count].to_vec()
    });
    assert_eq!(got.await.unwrap(), b"now");
}
