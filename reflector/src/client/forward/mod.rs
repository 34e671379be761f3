//! Lets a stock iperf3 on this host measure through a reflector's tunnel: `reflector connect`.
//!
//! In: an iperf3 client on loopback. Out: exactly the session its parameters ask for, its bytes through the tunnel and
//! back, or a refusal in words that iperf3 understands. One test at a time, one after the other. `ask` decides; `queue`
//! holds what the tunnel has not taken yet; `local`, `test`, `pump` and `datagrams` do the IO. Nothing in here prints: what there is to say goes to a [`Teller`].

mod ask;
mod datagrams;
mod link;
mod local;
mod pump;
mod queue;
mod test;
mod words;

pub use local::{BindError, Local};
pub use words::dropped;

use tokio_util::sync::CancellationToken;

use super::{Address, Link, LinkError};
use crate::identity::Current;

use self::link::Links;

/// What was forwarded until we were told to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sessions that were granted.
    pub tests: u64,
    /// Datagrams that this host lost on their way into the tunnel: iperf3 counts them as lost, and no network lost them.
    pub datagrams_dropped: u64,
}

/// Hears what a person should know, a line at a time.
pub type Teller<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Serves iperf3 clients until told to stop. An error means that the reflector cannot be used at all: it is asked before
/// anything is promised.
pub async fn forward(
    address: &Address,
    us: &Current,
    local: Local,
    stop: &CancellationToken,
    tell: Teller<'_>,
) -> Result<Tally, LinkError> {
    let mut tally = Tally::default();
    let connected = async {
        let mut link = Link::connect(address, us).await?;
        link.admitted().await.map(|()| link)
    };
    let link = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(tally),
        link = connected => link?,
    };
    let mut links = Links::new(address, us, link)?;
    tell(&format!("forwarding {local} to {address}"));
    loop {
        let introduced = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            introduced = local.introduction() => introduced,
        };
        test::serve(introduced, &local, (&mut links, &mut tally), stop, tell).await;
    }
    links.close().await;
    Ok(tally)
}
