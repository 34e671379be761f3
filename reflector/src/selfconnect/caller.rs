//! Connects to ourselves: once a minute, as a client on this host would.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crds::EndpointId;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::access::source::Source;
use crate::client::target::{Address, HostPort};
use crate::client::{Link, LinkError};
use crate::identity::{Current, LiveIdentity};
use crate::link::message::{SessionParams, TestType};
use crate::server::Phase;

use super::streak::{Answer, Reached, Streak};
use super::words;

/// For one attempt. On loopback it takes milliseconds; a host that needs so long grants nobody a test in time either.
/// Test: `whoever_never_answers_is_given_up`.
pub(crate) const DEADLINE: Duration = Duration::from_secs(8);

/// Who tries, and what it needs to know.
pub(crate) struct Caller {
    /// The key that `server` takes for ours, in memory only.
    pub(crate) us: Current,
    /// Where the control listener is bound.
    pub(crate) listen: SocketAddr,
    /// The key that must answer. Another one is presented after a rotation: then it is tried at once.
    pub(crate) identity: LiveIdentity,
    /// There is nothing to be tried before a policy is in force.
    pub(crate) access: Access,
    /// Nor once the process is on its way out.
    pub(crate) phase: watch::Receiver<Phase>,
}

impl Caller {
    /// Tries until `cancel`, and says what comes of it.
    pub(crate) async fn run(mut self, reached: watch::Sender<Reached>, cancel: CancellationToken) {
        let _cancelled = cancel.run_until_cancelled(self.try_on(&reached)).await;
        cancel.cancelled().await;
    }

    async fn try_on(&mut self, reached: &watch::Sender<Reached>) {
        let mut changes = self.access.changes();
        while !in_force(&self.access.source()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
        let mut streak = Streak::default();
        while *self.phase.borrow() == Phase::Serving {
            let expected = self.identity.borrow_and_update().identity.id();
            // Boxed: a connection is made once a minute, and its state would be held all the time.
            let answer = Box::pin(call(here(self.listen), expected, &self.us)).await;
            if let Answer::Missed(why) = &answer {
                tracing::debug!(%why, "no answer from ourselves");
            }
            streak.add(answer);
            tell(reached, streak.reached());
            let rotated = async {
                if self.identity.changed().await.is_err() {
                    // Nobody will rotate any more; there is still the time.
                    std::future::pending::<()>().await;
                }
            };
            // Out of time is when the next is due.
            let _due = timeout(streak.wait(), rotated).await;
        }
    }
}

/// Only what is news.
fn tell(reached: &watch::Sender<Reached>, now: &Reached) {
    let before = reached.borrow().clone();
    match (&before, now) {
        (before, now) if before == now => return,
        (_, Reached::No(why)) => tracing::warn!(%why, "this reflector cannot connect to itself"),
        (Reached::No(_), _) => tracing::info!("this reflector can connect to itself again"),
        _ => {}
    }
    reached.send_replace(now.clone());
}

/// A policy was loaded, now or before a restart.
fn in_force(source: &Source) -> bool {
    matches!(source, Source::Current | Source::Stale { .. })
}

/// The same port, from this host: a listener on all addresses is on loopback too, and `[::]` takes IPv4, which every host
/// has there.
fn here(listen: SocketAddr) -> SocketAddr {
    let ip = if listen.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen.ip() };
    SocketAddr::new(ip, listen.port())
}

/// One attempt: hello, a request, goodbye.
pub(crate) async fn call(at: SocketAddr, expected: EndpointId, us: &Current) -> Answer {
    match timeout(DEADLINE, ask(at, expected, us)).await {
        Ok(outcome) => words::answer(at, outcome),
        Err(_) => words::too_late(at, DEADLINE.as_secs()),
    }
}

async fn ask(at: SocketAddr, endpoint_id: EndpointId, us: &Current) -> Result<(), LinkError> {
    let at = HostPort { host: at.ip().to_string(), port: at.port() };
    let mut link = Link::connect(&Address { endpoint_id, at }, us).await?;
    let params = SessionParams { duration_sec: 1, protocol: None, streams: None, reverse: None, mode: None };
    let granted = link.request(TestType::Throughput, params).await;
    link.close().await;
    granted.map(|_| ())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock;
    use crate::identity::Identity;

    #[test]
    fn a_listener_on_all_addresses_is_tried_over_loopback() {
        for (listen, tried) in [
            ("[::]:4000", "127.0.0.1:4000"),
            ("0.0.0.0:4001", "127.0.0.1:4001"),
            ("[::1]:4002", "[::1]:4002"),
            ("192.0.2.7:4003", "192.0.2.7:4003"),
        ] {
            assert_eq!(here(listen.parse().unwrap()), tried.parse().unwrap());
        }
    }

    /// A process that is stuck takes connections (the kernel does) and says nothing.
    #[tokio::test(start_paused = true)]
    async fn whoever_never_answers_is_given_up() {
        let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let us = Current::new(Identity::generate().unwrap(), None, clock::now().wall).unwrap();
        let at = mute.local_addr().unwrap();
        let answer = call(at, us.identity.id(), &us).await;
        assert_eq!(
            answer,
            Answer::Missed(format!(
                "{at}: no answer within 8 s: the host is overloaded, or the process is stuck; look at both"
            ))
        );
    }
}
