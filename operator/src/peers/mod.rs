//! The controller of `ReflectorPeer`: `fetch → validate → decide → perform → status`, for one object at a time.
//!
//! `decide` knows the life of a pairing and touches nothing; `issue` makes a code and its Secret; `index` knows who else
//! has an Endpoint ID and how many codes wait. Secrets are made and removed, never read. Status is written also when a
//! step before it failed; a reconcile that finds everything as it should be writes nothing.

mod decide;
mod fetch;
mod found;
mod index;
mod issue;
mod reference;
mod room;
mod secret;
mod status;
#[cfg(test)]
mod testing;
mod wakes;

use std::sync::Arc;
use std::time::Duration;

use crds::peer::{PairingStatus, ReflectorPeer, ValidPeer, validate};
use jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::sync::{Mutex, MutexGuard};

use crate::clock;
use crate::driver::{self, Controller, Done, Steps};
use crate::metrics::{Kind, Outcome};
use crate::other_release::{self, OurPart};
use crate::reflectors;
use crate::shared::Shared;
use crate::writing;
use decide::{Decision, decide};
use found::Found;
use room::{Room, key};
use status::{OurStatus, Progress};

/// A code takes about as long: a hash of 19 MiB and a few writes.
const DESK_TAKEN: Duration = Duration::from_millis(200);

/// The controller. What it looks at is watched for others, too.
pub(crate) fn controller(shared: &Shared) -> Controller {
    let room = Arc::new(Room::new(&shared.kinds.peers));
    let wakes = wakes::wakes(&shared.kinds, &room);
    let steps = Peers { shared: shared.clone(), room, desk: Mutex::new(()) };
    driver::controller("peers", steps, &shared.kinds.peers, wakes, shared)
}

/// What every reconcile has at hand.
struct Peers {
    shared: Shared,
    room: Arc<Room>,
    /// Codes are made one at a time: hashing takes 19 MiB, and the last place is taken once.
    desk: Mutex<()>,
}

/// A reconcile that is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Issue(#[from] issue::Error),
    #[error(transparent)]
    Write(#[from] writing::Error),
    #[error(transparent)]
    OtherRelease(#[from] other_release::Error),
}

impl Error {
    /// What a person is told in the condition.
    fn words(&self) -> String {
        match self {
            Self::Write(error) | Self::Issue(issue::Error::Write(error)) => error.words(),
            other => writing::with_source(other),
        }
    }
}

impl Steps for Peers {
    type Object = ReflectorPeer;
    type Error = Error;
    const KIND: Kind = Kind::ReflectorPeer;
    const OURS: OurPart = OurPart {
        fields: &["endpointId", "shortId", "pairing", "pairedAt"],
        lists: &["reflectors"],
        conditions: &["Paired", "QuotaAvailable", "Revoked"],
    };

    fn refused(error: &Error) -> Option<&writing::Error> {
        match error {
            Error::Write(refused) => Some(refused),
            _ => None,
        }
    }

    async fn reconcile(&self, cached: &ReflectorPeer) -> Result<Done, Error> {
        let mut desk = None;
        // Between looking and deciding nothing is waited for; what had to be is followed by another look.
        loop {
            let Some(peer) = self.room.newest(&key(cached)) else { return Ok(Outcome::Unchanged.into()) };
            if peer.metadata.deletion_timestamp.is_some() {
                // Each pod denies it by itself, and its Secret goes with it; but a finalizer may hold both for long.
                return Ok(self.close(&peer).await?.map_or(Outcome::Unchanged, |_| Outcome::Ok).into());
            }
            let valid = match validate(&peer) {
                Ok(valid) => valid,
                Err(problems) => {
                    let peer = self.close(&peer).await?.unwrap_or(peer);
                    let found = fetch::fetch(&self.shared.kinds, &self.room, peer, None);
                    self.report(&found, &Progress::Invalid(&problems), &[], None).await?;
                    return Ok(Outcome::Invalid.into());
                }
            };
            let found = fetch::fetch(&self.shared.kinds, &self.room, peer, valid.endpoint_id);
            let decided = decide_now(&found, &valid);
            if decided.issue.is_none() || desk.is_some() {
                return self.perform(found, &valid, decided, desk).await;
            }
            // Not awaited: those who wait would take every place, also from claims that can be judged.
            let Ok(free) = self.desk.try_lock() else {
                return Ok(Done { outcome: Outcome::Unchanged, again: Some(at_the_desk(&found.peer)) });
            };
            desk = Some(free);
            if found.peer.status.as_ref().is_none_or(|status| status.conditions.is_empty()) {
                self.write(&found.peer, &status::first(&found.peer, clock::now())).await?;
            }
        }
    }
}

impl Peers {
    /// Ends a code that waits on a peer that lets nobody in any more. What the server answered, if there was anything to
    /// end.
    async fn close(&self, peer: &ReflectorPeer) -> Result<Option<Arc<ReflectorPeer>>, Error> {
        let mut newest = None;
        if let Some(over) = decide::closed(peer) {
            let ours = status::with_pairing(peer, over);
            let pairing = peer.status.as_ref().and_then(|status| status.pairing.as_ref());
            for step in status::steps(pairing, &ours, &[]) {
                self.shared.metrics.pairing(step);
            }
            newest = Some(self.write(peer, &ours).await?);
        }
        let done = self.discard(newest.as_deref().unwrap_or(peer)).await?;
        Ok(done.or(newest))
    }

    /// Removes the Secret of a code that is over, then its name from the status. What the server answered, if there was
    /// one.
    async fn discard(&self, peer: &ReflectorPeer) -> Result<Option<Arc<ReflectorPeer>>, Error> {
        let pairing = peer.status.as_ref().and_then(|status| status.pairing.clone()).unwrap_or_default();
        if pairing.secret.is_none() {
            return Ok(None);
        }
        issue::withdraw(&self.shared.writer, peer, &pairing).await?;
        let gone = PairingStatus { secret: None, secret_uid: None, ..pairing };
        self.write(peer, &status::with_pairing(peer, gone)).await.map(Some)
    }

    async fn perform(
        &self,
        mut found: Found,
        valid: &ValidPeer,
        mut decided: Decision,
        desk: Option<MutexGuard<'_, ()>>,
    ) -> Result<Done, Error> {
        let makes = decided.issue.is_some();
        if let Err(error) = self.new_code(&mut found, &mut decided).await {
            // What failed first is what is reported.
            let progress = Progress::Failed(valid, error.words());
            if let Err(second) = self.report(&found, &progress, &[], desk).await {
                tracing::warn!(error = &second as &dyn std::error::Error, "say what failed");
            }
            return Err(error);
        }
        let answer = self.report(&found, &Progress::Done(valid, &decided), &decided.refused, desk).await?;
        let mut wrote = makes || answer.is_some();
        let mut newest = answer.unwrap_or_else(|| found.peer.clone());
        if !makes && decided.withdraw.is_some() {
            newest = self.discard(&newest).await?.unwrap_or(newest);
            wrote = true;
        }
        for gone in found.departed() {
            // Our key of its entry was dropped with the status; what is left is its pod's, which is no more.
            let manager = reflectors::child_name(gone);
            let writer = &self.shared.writer;
            let answer = Arc::new(writer.withdraw_status(Kind::ReflectorPeer, &*newest, &manager).await?);
            self.room.wrote(&newest, &answer);
            newest = answer;
            wrote = true;
        }
        let outcome = if wrote { Outcome::Ok } else { Outcome::Unchanged };
        Ok(Done { outcome, again: again(&found, valid, &decided, clock::now().wall) })
    }

    /// Makes the code that is wanted. The one before it is over first, whatever becomes of its Secret.
    async fn new_code(&self, found: &mut Found, decided: &mut Decision) -> Result<(), Error> {
        let (Some(issue), Some(named)) = (&decided.issue, &found.named) else { return Ok(()) };
        if let Some(over) = decide::closed(&found.peer) {
            found.peer = self.write(&found.peer, &status::with_pairing(&found.peer, over)).await?;
        }
        if let Some(before) = found.peer.status.as_ref().and_then(|status| status.pairing.as_ref()) {
            issue::withdraw(&self.shared.writer, &found.peer, before).await?;
        }
        let pairing = issue::issue(&self.shared.writer, &found.peer, named, issue).await?;
        decided.due = pairing.expires_at.as_ref().map(|time| time.0);
        decided.pairing = Some(pairing);
        Ok(())
    }

    /// Writes the status if it says something new, and tells the events of it; the desk is free in between. What the
    /// server answered, if it did.
    async fn report(
        &self,
        found: &Found,
        progress: &Progress<'_>,
        refused: &[String],
        desk: Option<MutexGuard<'_, ()>>,
    ) -> Result<Option<Arc<ReflectorPeer>>, Error> {
        let ours = status::status(found, progress, clock::now());
        let peer = &found.peer;
        if ours.is_in(peer, found.named.as_ref().is_some_and(|named| named.is_fleet)) {
            return Ok(None);
        }
        let answer = self.write(peer, &ours).await?;
        // The place is taken now.
        drop(desk);
        let before = peer.status.as_ref().map_or(&[][..], |status| &status.conditions);
        let notes = status::notes(before, &ours, refused);
        let pairing = peer.status.as_ref().and_then(|status| status.pairing.as_ref());
        for step in status::steps(pairing, &ours, &notes) {
            self.shared.metrics.pairing(step);
        }
        for note in notes {
            self.shared.recorder.tell(&**peer, &note).await;
        }
        Ok(Some(answer))
    }

    async fn write(&self, peer: &ReflectorPeer, ours: &OurStatus) -> Result<Arc<ReflectorPeer>, Error> {
        let answer = Arc::new(self.shared.writer.apply_status(Kind::ReflectorPeer, peer, ours).await?);
        self.room.wrote(peer, &answer);
        Ok(answer)
    }
}

fn decide_now(found: &Found, valid: &ValidPeer) -> Decision {
    let now = clock::now().wall;
    decide(found, valid, valid.suspended || status::is_over(valid, now), now)
}

/// When to ask for the desk again: not all at once.
fn at_the_desk(peer: &ReflectorPeer) -> Duration {
    DESK_TAKEN + status::spread(&peer.uid().unwrap_or_default()) / 1_000
}

/// When time alone changes something: once, at its moment. What comes for many peers at one moment is spread.
fn again(found: &Found, peer: &ValidPeer, decided: &Decision, now: Timestamp) -> Option<Duration> {
    let spread = status::spread(&found.peer.uid().unwrap_or_default());
    let later = |at: Timestamp| at.checked_add(spread).ok();
    let expiry = peer.expires_at.filter(|at| *at > now).and_then(later);
    let quota = status::quota_edge(now).filter(|_| status::is_used_up(found, now)).and_then(later);
    let first = [decided.due, expiry, quota].into_iter().flatten().min()?;
    Some(Duration::try_from(first.duration_since(now)).unwrap_or_default())
}
