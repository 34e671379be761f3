//! `pair`: makes a peer, shows its code, and waits for the appliance.
//!
//! `plan` decides what is to be done with what there is, `show` makes the words; this is the way through.

mod plan;
mod show;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use crds::peer::{PairingState, PairingStatus};
use crds::{Reflector, ReflectorPeer};
use jiff::Timestamp;

use super::answer::{Answer, Exit, emit, written};
use super::args::{Format, Pair};
use super::cluster::Cluster;
use crate::clock;
use plan::Plan;
use show::{Code, End};

/// Until the operator has made a code: it hashes it first, for a second or so on a small machine, one at a time.
const CODE: Duration = Duration::from_secs(60);
/// After the code has expired: until the operator has said so.
const SLACK: Duration = Duration::from_secs(30);
/// How often the time that is left is shown anew on a terminal.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn run(cluster: &Cluster, wanted: &Pair, format: Option<Format>) -> Result<Answer> {
    let there: Option<ReflectorPeer> = cluster.find(&wanted.name).await?;
    let only = match (&there, &wanted.reflector, &wanted.fleet) {
        (None, None, None) => cluster.list::<Reflector>().await?,
        _ => vec![],
    };
    let round = match plan::plan(there.as_ref(), wanted, &only)? {
        Plan::Create(peer) => {
            cluster.create(&*peer).await?;
            0
        }
        Plan::Raise(round) => {
            let peer = there.context("there is a peer")?;
            cluster.edit(&peer, plan::raise(round, wanted), wanted.force).await?;
            round
        }
        Plan::Join(round) => round,
        Plan::Over(end) => return over(&wanted.name, &end, format),
    };
    let code = code(cluster, &wanted.name, round).await?;
    if !wanted.wait {
        let text = match format {
            Some(format) => written(&code, format)?,
            None => show::code(&code, clock::now().wall, std::io::stdout().is_terminal()),
        };
        return Ok(Answer::text(text));
    }
    if format.is_none() {
        emit(&show::code(&code, clock::now().wall, std::io::stdout().is_terminal()));
    }
    let end = wait(cluster, &code).await?;
    over(&wanted.name, &end, format)
}

fn over(peer: &str, end: &End, format: Option<Format>) -> Result<Answer> {
    let text = match format {
        Some(format) => written(&show::ended(peer, end), format)?,
        None => show::end(peer, end),
    };
    let exit = match end {
        End::Bound(_) => Exit::Done,
        End::Claimed(_) => Exit::Part,
        End::Expired => Exit::No,
    };
    Ok(Answer { text, exit })
}

/// The code of this round, from its Secret.
async fn code(cluster: &Cluster, peer: &str, round: i64) -> Result<Code> {
    cluster.stands_for(&format!("wait reflectorpeer/{peer} --for jsonpath='{{.status.pairing.secret}}'"));
    let ready =
        |peer: &ReflectorPeer| pairing(peer).is_some_and(|pairing| plan::is_over_or_has_code(pairing, round));
    let found = cluster.until(peer, CODE, ready).await?;
    let Some(found) = found else {
        bail!("no code came within {} s: kubectl reflector why {peer} says more", CODE.as_secs());
    };
    let pairing = pairing(&found).cloned().unwrap_or_default();
    let Some(secret) = pairing.secret.filter(|_| pairing.state == Some(PairingState::Waiting)) else {
        bail!("the pairing of {peer} ended in this moment: ask once more");
    };
    let entries: Option<BTreeMap<String, String>> = cluster.secret(&secret).await?;
    let entries = entries.with_context(|| show::lost(peer, &secret))?;
    let symbols = entries.get("code").with_context(|| format!("Secret {secret} has no code"))?.clone();
    Ok(Code {
        peer: peer.to_owned(),
        round,
        symbols,
        address: entries.get("address").cloned(),
        command: entries.get("command").cloned(),
        expires_at: pairing.expires_at.map(|time| time.0),
    })
}

/// Until the appliance came, or the code is over.
async fn wait(cluster: &Cluster, code: &Code) -> Result<End> {
    let left = code.expires_at.map_or(CODE, |at| left(at, clock::now().wall)) + SLACK;
    let over = |peer: &ReflectorPeer| plan::end(peer, code.round).is_some();
    let waiting = cluster.until(&code.peer, left, over);
    let found = tokio::select! {
        found = waiting => found?,
        () = countdown(code.expires_at), if std::io::stderr().is_terminal() => None,
    };
    if std::io::stderr().is_terminal() {
        anstream::eprint!("\r{}\r", " ".repeat(40));
    }
    Ok(found.and_then(|peer| plan::end(&peer, code.round)).unwrap_or(End::Expired))
}

/// Shows the time that is left. Never ends.
#[expect(clippy::disallowed_methods, reason = "a clock that is shown; nothing announces the next second")]
async fn countdown(expires_at: Option<Timestamp>) {
    let Some(expires_at) = expires_at else { return std::future::pending().await };
    loop {
        anstream::eprint!("\r{}   ", show::left(left(expires_at, clock::now().wall)));
        tokio::time::sleep(TICK).await;
    }
}

fn left(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

fn pairing(peer: &ReflectorPeer) -> Option<&PairingStatus> {
    peer.status.as_ref()?.pairing.as_ref()
}
