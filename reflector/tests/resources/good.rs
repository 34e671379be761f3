//! A good peer: known, patient, and measured while others misbehave.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use e2e::appliance::data::{Limits, Target, transfer};
use e2e::appliance::{Appliance, Connection, Direction, Error, Grant, Key, Test};
use tokio::time::Instant;

use crate::bed::{Bed, PATIENCE};

/// What link.md §8 promises a good peer beside 500 silent sockets or strangers with home-made certificates.
pub(crate) const PROMISE: Duration = Duration::from_secs(2);

/// Payload of a test that is over at once.
const QUICK: u64 = 100_000;

#[derive(Clone)]
pub(crate) struct Good {
    key: Key,
    addr: SocketAddr,
    from: IpAddr,
}

impl Good {
    /// Known from now on, at 127.0.0.1.
    pub(crate) fn new(bed: &Bed, name: &str) -> Self {
        let key = Key::generate();
        bed.add(&key, name);
        Self { key, addr: bed.addr, from: Ipv4Addr::LOCALHOST.into() }
    }

    /// The same peer behind another address.
    pub(crate) fn at(&self, from: IpAddr) -> Self {
        Self { from, ..self.clone() }
    }

    /// The same peer at the address of a reflector that was started again.
    pub(crate) fn moved_to(&self, addr: SocketAddr) -> Self {
        Self { addr, ..self.clone() }
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let appliance = Appliance::builder(self.key.clone()).bind(self.from).wait(PATIENCE);
        appliance.open(self.addr).await.map(|(connection, _)| connection)
    }

    /// Connects, is granted a test and runs it: the time from the first SYN to the grant.
    pub(crate) async fn is_served(&self) -> Duration {
        let began = Instant::now();
        let mut connection = self.connect().await.unwrap();
        let grant = connection.request(&Test::throughput(5)).await.unwrap().granted().unwrap();
        let took = began.elapsed();
        run(&grant).await;
        connection.close().await.unwrap();
        took
    }

    /// Served so many times, each within the promise.
    pub(crate) async fn is_served_in_time(&self, times: usize) {
        for n in 0..times {
            let took = self.is_served().await;
            assert!(took <= PROMISE, "attempt {n} from {} took {took:?}", self.from);
        }
    }

    /// Served again and again while something else goes on; how often.
    pub(crate) async fn is_served_during<T>(&self, other: impl Future<Output = T>) -> (T, usize) {
        let mut served = 0;
        let mut other = std::pin::pin!(other);
        loop {
            let once = self.is_served();
            let mut once = std::pin::pin!(once);
            tokio::select! {
                _ = &mut once => served += 1,
                done = &mut other => {
                    once.await;
                    return (done, served + 1);
                }
            }
        }
    }
}

/// A quick upload that ends in good order: the slot is free when this returns.
pub(crate) async fn run(grant: &Grant) -> u64 {
    let limits = Limits { bytes: Some(QUICK), ..Limits::default() };
    let moved = transfer(&Target::from(grant), Direction::Upload, limits).finish().await.unwrap();
    assert_eq!(moved.bytes, QUICK, "{moved:?}");
    moved.bytes
}
