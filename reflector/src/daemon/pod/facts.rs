//! What the process knows of itself and of its peers, as status shows it. Reads what is in memory.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crds::EndpointId;
use crds::peer::{Claim, PairingState, RefKind};
use tokio::sync::watch;

use crate::access::Access;
use crate::access::cluster::{Handle, Held, HeldPeer, HeldReflector};
use crate::access::policy::{Refusal, Verdict};
use crate::audit::Audit;
use crate::clock::Now;
use crate::cluster::Own;
use crate::cluster::pairing::Codes;
use crate::cluster::status::peer::{self, EntryFacts};
use crate::cluster::status::standing::{self, Doorway, Listener};
use crate::cluster::status::{
    Facts, Hardware, Hint, OwnFacts, OwnReport, PeerReport, Reach, Report, Seen, Subject, Witness,
};
use crate::identity::LiveIdentity;
use crate::ledger::Ledger;
use crate::selfconnect::Reached;
use crate::server::{Phase, Server};
use crate::session::Sessions;

/// Everything that is asked.
pub(crate) struct Rooms {
    pub(crate) own: Own,
    pub(crate) held: Handle,
    pub(crate) codes: Codes,
    pub(crate) access: Access,
    pub(crate) ledger: Ledger,
    pub(crate) audit: Audit,
    pub(crate) server: Server,
    pub(crate) sessions: Sessions,
    pub(crate) identity: LiveIdentity,
    pub(crate) witness: Witness,
    pub(crate) position: &'static str,
    /// True between bind and drain.
    pub(crate) accepting: Arc<AtomicBool>,
    /// Whether the process can connect to itself.
    pub(crate) reached: watch::Receiver<Reached>,
    /// What the last self-test found.
    pub(crate) hardware: watch::Receiver<Hardware>,
}

impl Facts for Rooms {
    fn about(&self, hint: &Hint) -> Vec<Subject> {
        match hint {
            Hint::Own => self.held.look(|held| held.reflector().map(own)).into_iter().collect(),
            Hint::Peer(id) => {
                let Some(name) = self.object_of(id) else { return Vec::new() };
                self.held.look(|held| held.peer(&name).map(subject)).into_iter().collect()
            }
            Hint::Everything => {
                let pairing: BTreeSet<String> = self.held.look(|held| {
                    held.peers().filter(|peer| pairs(peer)).map(|peer| peer.uid.clone()).collect()
                });
                self.witness.keep(|id| self.object_of(id).is_some(), |uid| pairing.contains(uid));
                self.held.look(|held| {
                    held.reflector().map(own).into_iter().chain(held.peers().map(subject)).collect()
                })
            }
        }
    }

    fn look(&self, of: &Subject, said: Option<&Report>, now: Now) -> Option<Seen> {
        match of {
            Subject::Own { uid } => {
                let reflector =
                    self.held.look(|held| held.reflector().filter(|held| held.uid == **uid).cloned())?;
                Some(self.own_report(&reflector, said, now))
            }
            Subject::Peer { name, uid } => {
                let peer =
                    self.held.look(|held| held.peer(name).filter(|held| held.uid == **uid).cloned())?;
                Some(self.peer_report(&peer, now))
            }
        }
    }
}

impl Rooms {
    fn own_report(&self, reflector: &HeldReflector, said: Option<&Report>, now: Now) -> Seen {
        let pod_uid = self.own.pod.uid.clone();
        // What another pod said is nothing this one said before.
        let there = reflector.status.as_ref().filter(|status| status.pod_uid == pod_uid);
        let there = there.map(OwnReport::there);
        let before = match said {
            Some(Report::Own(said)) => &said.status().conditions[..],
            _ => there.as_ref().map_or(&[][..], |there| &there.status().conditions),
        };
        let words = |held: &Held| (held.trouble().map(str::to_owned), held.forbidden().map(str::to_owned));
        let (trouble, forbidden) = self.held.look(words);
        let phase = *self.server.phase().borrow();
        let doorway = Doorway {
            listener: match (phase, self.accepting.load(Ordering::Acquire)) {
                (Phase::Draining | Phase::Stopping, _) => Listener::Draining,
                (Phase::Serving, false) => Listener::Gone,
                (Phase::Serving, true) => Listener::Open,
            },
            suspended: reflector.valid.suspended,
            audit_denies: self.audit.denies(),
            unrecorded: self.ledger.health().borrow().failing.as_ref().map(ToString::to_string),
            reached: self.reached.borrow().clone(),
        };
        let hardware = self.hardware.borrow().clone();
        let facts = OwnFacts {
            pod_uid,
            endpoint_id: self.identity.borrow().identity.id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            policy_generation: Some(reflector.generation),
            network_position: self.position.to_owned(),
            self_test: hardware.self_test,
            active_tests: u32::try_from(self.sessions.active(None).len()).unwrap_or(u32::MAX),
            accepting: doorway.accepting(),
            policy_current: standing::policy_current(
                &self.access.source(),
                trouble.as_deref(),
                forbidden.as_deref(),
            ),
            hardware_ready: hardware.ready,
        };
        let report = Report::Own(Box::new(OwnReport::new(&facts, before, now.wall)));
        Seen { report, there: there.map(|there| Report::Own(Box::new(there))), busy: false }
    }

    fn peer_report(&self, held: &HeldPeer, now: Now) -> Seen {
        let valid = held.object.peer.as_ref().ok();
        let enforced = valid.and_then(|peer| peer.endpoint_id).map(|id| (id, self.access.verdict(&id)));
        let enforced =
            enforced.filter(|(_, verdict)| object_in(verdict).is_some_and(|name| **name == *held.name));
        let there = held.entry.as_ref();
        let facts = self.entry_facts(held, enforced.as_ref(), now);
        // One that cannot be read may name a fleet: then the columns are not ours.
        let reach = match valid.map(|peer| peer.reflector.kind) {
            Some(RefKind::Reflector) => Reach::One,
            Some(RefKind::ReflectorFleet) | None => Reach::Fleet { entered: there.is_some() },
        };
        let report = |entry| Report::Peer(Box::new(PeerReport { entry, reach }));
        Seen {
            report: report(peer::entry(facts, there)),
            there: there.cloned().map(report),
            busy: enforced.is_some_and(|(id, _)| !self.sessions.active(Some(&id)).is_empty()),
        }
    }

    fn entry_facts(
        &self,
        held: &HeldPeer,
        enforced: Option<&(EndpointId, Verdict)>,
        now: Now,
    ) -> EntryFacts<'_> {
        let used = enforced.and_then(|(id, _)| self.ledger.usage(id)).unwrap_or_default();
        let moment = self.ledger.at(now);
        let limit = enforced.and_then(|(_, verdict)| match verdict {
            Verdict::Allowed(policy) => policy.quotas.bytes_per_day,
            Verdict::Refused(_) => None,
        });
        EntryFacts {
            reflector: &self.own.name,
            generation: held.generation,
            enforced_for: enforced.map(|(id, _)| *id),
            usage: enforced.map(|_| peer::usage(&used, limit, now.wall)),
            seen_before: used.last_seen.and_then(|at| moment.as_wall(at)),
            test_before: used.last_test.as_ref().map(peer::remembered_test),
            happened: enforced.map(|(id, _)| self.witness.of(id)).unwrap_or_default(),
            claim: self.claim(held),
            pairing: waits(held).then(|| self.codes.counts()).flatten(),
        }
    }

    /// The claim that stands: as long as its code does, and until somebody approved it. One whose code was replaced is
    /// withdrawn.
    fn claim(&self, held: &HeldPeer) -> Option<Claim> {
        let pairing = held.pairing.as_ref()?;
        let made = self.witness.claim(&held.uid);
        match pairing.state {
            Some(PairingState::Waiting) => {
                let (claim, key) = made?;
                (pairing.code_key.as_ref() == Some(&key.to_string())).then_some(claim)
            }
            // Perhaps the process before this one made it.
            Some(PairingState::Claimed) => {
                made.map(|(claim, _)| claim).or_else(|| held.entry.as_ref()?.claim.clone())
            }
            _ => None,
        }
    }

    /// The object that speaks for an ID.
    fn object_of(&self, id: &EndpointId) -> Option<Arc<str>> {
        object_in(&self.access.verdict(id)).cloned()
    }
}

/// The object a verdict comes from.
fn object_in(verdict: &Verdict) -> Option<&Arc<str>> {
    match verdict {
        Verdict::Allowed(policy) => Some(&policy.peer),
        Verdict::Refused(
            Refusal::Suspended { peer } | Refusal::Expired { peer } | Refusal::Invalid { peer },
        ) => Some(peer),
        Verdict::Refused(Refusal::Unknown | Refusal::Removed | Refusal::NeverLoaded | Refusal::GraceOver) => {
            None
        }
    }
}

/// A claim on it may still count.
fn pairs(peer: &HeldPeer) -> bool {
    let open = |state: &PairingState| matches!(state, PairingState::Waiting | PairingState::Claimed);
    peer.pairing.as_ref().and_then(|pairing| pairing.state.as_ref()).is_some_and(open)
}

fn waits(peer: &HeldPeer) -> bool {
    peer.pairing.as_ref().is_some_and(|pairing| pairing.state == Some(PairingState::Waiting))
}

fn own(reflector: &HeldReflector) -> Subject {
    Subject::Own { uid: reflector.uid.as_str().into() }
}

fn subject(peer: &HeldPeer) -> Subject {
    Subject::Peer { name: Arc::clone(&peer.name), uid: peer.uid.as_str().into() }
}
