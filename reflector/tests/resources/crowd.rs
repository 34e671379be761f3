//! Half-open sockets that stay: a crowd that comes back as fast as it is sent away, within reason.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::appliance::raw;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::bed::until;

/// One socket is opened again at most this often: a crowd of 500 that is sent away makes 200 connections a second.
const COMES_BACK: Duration = Duration::from_millis(2500);

/// Dropping it sends everyone home.
pub(crate) struct Crowd {
    tasks: JoinSet<()>,
    opened: Arc<AtomicUsize>,
}

impl Crowd {
    /// `each` sockets from each source. Every other one sends the first byte of a TLS handshake; none sends a second.
    pub(crate) async fn gather(addr: SocketAddr, sources: &[IpAddr], each: usize) -> Self {
        let mut crowd = Self { tasks: JoinSet::new(), opened: Arc::default() };
        for (n, source) in sources.iter().flat_map(|source| std::iter::repeat_n(*source, each)).enumerate() {
            let opened = Arc::clone(&crowd.opened);
            crowd.tasks.spawn(stay(addr, source, n % 2 == 0, opened));
        }
        let all = sources.len() * each;
        until(|| (crowd.opened() >= all).then_some(()), "the whole crowd").await;
        crowd
    }

    /// Sockets that were ever opened.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// Waits until all sockets are closed on this side.
    pub(crate) async fn leave(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn stay(addr: SocketAddr, source: IpAddr, speaks: bool, opened: Arc<AtomicUsize>) {
    let mut pace = interval(COMES_BACK);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        // Refused or reset while connecting: what an abuser must expect.
        let Ok(mut stream) = raw::connect(addr, Some(source)).await else { continue };
        opened.fetch_add(1, Ordering::Relaxed);
        if speaks && stream.write_all(&[0x16]).await.is_err() {
            continue;
        }
        // Until the reflector closes it. It may say something first (an alert); however it ends, it has ended.
        let _ended = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
}
