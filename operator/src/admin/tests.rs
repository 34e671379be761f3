//! The admin port as kubelet, Prometheus and a stranger see it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

#[derive(Default)]
struct Caches {
    warm: AtomicBool,
    forbidden: AtomicBool,
}

impl Health for Caches {
    fn cold(&self) -> Vec<String> {
        if self.warm.load(Ordering::SeqCst) { vec![] } else { vec!["Pod (forbidden)".into(), "Node".into()] }
    }

    fn forbidden(&self) -> Vec<&'static str> {
        if self.forbidden.load(Ordering::SeqCst) { vec!["Pod", "Node"] } else { vec![] }
    }

    fn before_scrape(&self, metrics: &Metrics) {
        metrics.lease_held(true);
    }
}

async fn start() -> (SocketAddr, Arc<Caches>, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (caches, stop) = (Arc::new(Caches::default()), CancellationToken::new());
    tokio::spawn(serve(listener, caches.clone(), Metrics::new(), stop.clone()));
    (address, caches, stop)
}

async fn fetch(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn it_is_alive_at_once_and_ready_when_every_first_list_is_in() {
    let (address, caches, _stop) = start().await;
    assert_eq!(fetch(address, "/livez").await.0, 200);
    let (status, text) = fetch(address, "/readyz").await;
    assert_eq!((status, text.as_str()), (503, "waiting for the first list of: Pod (forbidden), Node\n"));
    caches.warm.store(true, Ordering::SeqCst);
    assert_eq!(fetch(address, "/readyz").await.0, 200);
}

#[tokio::test]
async fn a_right_that_is_missing_makes_it_not_ready_and_says_what_helps() {
    let (address, caches, _stop) = start().await;
    caches.warm.store(true, Ordering::SeqCst);
    caches.forbidden.store(true, Ordering::SeqCst);
    let (status, text) = fetch(address, "/readyz").await;
    let expected = "not allowed to list or watch: Pod, Node. Apply the roles of this release; the operator tries again by itself.\n";
    assert_eq!((status, text.as_str()), (503, expected));
    assert_eq!(fetch(address, "/livez").await.0, 200, "a restart gives it no right");
}

#[tokio::test]
async fn metrics_are_current_and_everything_else_is_not_found() {
    let (address, _caches, _stop) = start().await;
    let (status, text) = fetch(address, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("reflector_operator_lease_held 1"), "{text}");
    assert_eq!(fetch(address, "/secret").await.0, 404);
}

#[tokio::test]
async fn silent_connections_end_and_make_room() {
    let (address, _caches, _stop) = start().await;
    let mut silent = Vec::new();
    for _ in 0..listener::MAX_CONNECTIONS {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // Waits until the first of them has lived its life.
    let late = tokio::time::timeout(listener::MAX_LIFE * 6, fetch(address, "/livez"));
    assert_eq!(late.await.unwrap().0, 200);
}

#[tokio::test]
async fn it_ends_when_told_to_even_with_an_open_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, Arc::new(Caches::default()), Metrics::new(), stop.clone()));
    let _open = TcpStream::connect(address).await.unwrap();
    assert_eq!(fetch(address, "/livez").await.0, 200);
    stop.cancel();
    tokio::time::timeout(listener::MAX_LIFE * 6, serving).await.unwrap().unwrap().unwrap();
}
