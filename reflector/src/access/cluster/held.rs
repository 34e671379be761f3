//! What the three watches have said, folded together. Pure: news in, effects on the index out.
//!
//! Nothing is loaded before every list is in; what is missing would look like a deletion. From then on each change acts by
//! itself, also while another watch is away. The policy is current while every watch stands and our Reflector can be used.
//! One file, because each rule here is about what the others have left behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::access::effective::ReflectorPolicy;
use crate::access::manifest;
use crate::access::object::{Key, Object};
use crate::cluster::Own;

use super::kept::Kept;
use super::objects::{self, HeldPeer, HeldReflector, Read, Watched};
use super::own;

/// Most peers held: as many as a directory may have.
pub(super) const MAX_PEERS: usize = 10_000;

/// What a watch has to tell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum News {
    /// All objects there are.
    Listed(Vec<Value>),
    /// One is new or different.
    Changed(Value),
    /// One is gone.
    Gone(Value),
    /// The watch stands: what happens from now on is heard.
    Stands,
    /// Nothing happened.
    Quiet,
    /// It does not, and why.
    Away(String),
    /// It does not, because somebody has to give us the right to it.
    Forbidden(String),
}

/// What follows for the index, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    Reflector(ReflectorPolicy, Duration),
    Load(Vec<(Key, Arc<Object>)>),
    Apply(Key, Arc<Object>),
    Delete(Key),
    Away(String),
}

/// Effects, and whether what is kept on disk is different now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    pub(super) effects: Vec<Effect>,
    pub(super) keep: bool,
}

/// Everything that is known from the API server.
#[derive(Debug)]
pub struct Held {
    own: Own,
    base: ReflectorPolicy,
    reflector: Option<HeldReflector>,
    /// Why our Reflector cannot be used as it is now.
    trouble: Option<String>,
    sources: BTreeMap<Watched, Source>,
    /// The index has what we hold: from the API server, or from the disk.
    loaded: bool,
    /// As far as we told.
    current: bool,
    told: Option<String>,
}

#[derive(Debug, Default)]
struct Source {
    listed: bool,
    watch: Standing,
    peers: BTreeMap<Arc<str>, HeldPeer>,
    /// More than we hold.
    left_out: bool,
}

/// How a watch stands.
#[derive(Debug, Default)]
enum Standing {
    #[default]
    Opening,
    Stands,
    Away(String),
    Forbidden(String),
}

impl Standing {
    /// Why nothing is heard.
    fn why(&self) -> Option<&String> {
        match self {
            Self::Opening | Self::Stands => None,
            Self::Away(why) | Self::Forbidden(why) => Some(why),
        }
    }
}

impl Held {
    /// Nothing yet. `base` is what holds where the Reflector says nothing.
    pub(super) fn new(own: Own, base: ReflectorPolicy) -> Self {
        let sources = watched(&own).map(|watched| (watched, Source::default())).collect();
        Self { own, base, reflector: None, trouble: None, sources, loaded: false, current: false, told: None }
    }

    /// Our Reflector as it was last good. `None` before it was ever read, and when it is gone.
    pub fn reflector(&self) -> Option<&HeldReflector> {
        self.reflector.as_ref()
    }

    /// Whether all there is to know is known, as of a moment ago.
    pub fn is_current(&self) -> bool {
        self.current
    }

    /// Why our Reflector cannot be used as it is now.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What the API server says of a right that we need and do not have.
    pub fn forbidden(&self) -> Option<&str> {
        self.sources.values().find_map(|source| match &source.watch {
            Standing::Forbidden(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// Every peer, those that name the Reflector first.
    pub fn peers(&self) -> impl Iterator<Item = &HeldPeer> {
        self.sources.values().flat_map(|source| source.peers.values())
    }

    /// One peer by name. Of two of one name the one that names the Reflector.
    pub fn peer(&self, name: &str) -> Option<&HeldPeer> {
        self.sources.values().find_map(|source| source.peers.get(name))
    }

    fn texts(&self, watched: Watched) -> Vec<String> {
        self.of(watched).map(|peer| peer.kept.to_string()).collect()
    }

    /// What one watch holds.
    pub(super) fn of(&self, watched: Watched) -> impl Iterator<Item = &HeldPeer> {
        self.sources.get(&watched).into_iter().flat_map(|source| source.peers.values())
    }

    /// What to keep over a restart: nothing when our Reflector is gone.
    pub(super) fn to_keep(&self) -> Option<Kept> {
        let reflector = self.reflector.as_ref()?;
        Some(Kept {
            uid: reflector.uid.clone(),
            reflector: reflector.kept.to_string(),
            peers: self.texts(Watched::Peers),
            fleet_peers: self.texts(Watched::FleetPeers),
        })
    }

    /// Takes up what was kept, and says what to restore. An object that cannot be read any more is broken, like one from
    /// the API server.
    pub(super) fn restore(&mut self, kept: &Kept) -> Result<Restored, String> {
        let value = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
        let Read::Held(reflector) = objects::reflector(&value(&kept.reflector)?)? else {
            return Err("the kept Reflector was being deleted".to_owned());
        };
        let policy = own::policy(&reflector.valid, &self.base)?;
        for (watched, texts) in [(Watched::Peers, &kept.peers), (Watched::FleetPeers, &kept.fleet_peers)] {
            // A fleet it has left has no source.
            let Some(source) = self.sources.get_mut(&watched) else { continue };
            for text in texts {
                if let Some((name, Read::Held(peer))) = objects::peer(&value(text)?, watched, &self.own) {
                    source.peers.insert(name, peer);
                }
            }
        }
        let offline_grace = reflector.valid.offline_grace;
        self.reflector = Some(reflector);
        self.loaded = true;
        Ok(Restored { policy, offline_grace, objects: self.objects() })
    }

    /// A watch has something to tell.
    pub(super) fn hear(&mut self, watched: Watched, news: News) -> Heard {
        let mut heard = Heard::default();
        match news {
            News::Quiet => return heard,
            News::Stands => self.source(watched, |source| source.watch = Standing::Stands),
            News::Away(why) => {
                let why = format!("the API server is away for {}: {why}", watched.as_str());
                self.source(watched, |source| source.watch = Standing::Away(why));
            }
            News::Forbidden(why) => {
                let why = format!("the API server refuses {}: {why}", watched.as_str());
                self.source(watched, |source| source.watch = Standing::Forbidden(why));
            }
            News::Listed(values) if watched == Watched::Own => {
                self.source(watched, |source| source.listed = true);
                let own = values.iter().find(|value| is_called(value, &self.own.name));
                self.reflector_is(own, &mut heard);
            }
            News::Changed(value) if watched == Watched::Own => self.reflector_is(Some(&value), &mut heard),
            News::Gone(_) if watched == Watched::Own => self.reflector_is(None, &mut heard),
            News::Listed(values) => self.peers_are(watched, &values, &mut heard),
            News::Changed(value) => self.peer_is(watched, &value, &mut heard),
            News::Gone(value) => {
                if let Some((name, _)) = objects::peer(&value, watched, &self.own) {
                    self.drop_peer(watched, &name, &mut heard);
                }
            }
        }
        self.settle(&mut heard);
        heard
    }

    fn source(&mut self, watched: Watched, change: impl FnOnce(&mut Source)) {
        if let Some(source) = self.sources.get_mut(&watched) {
            change(source);
        }
    }

    /// Our Reflector is this one. One that cannot be used leaves the last good one in force for the grace; one that is gone
    /// takes every right to test with it.
    fn reflector_is(&mut self, value: Option<&Value>, heard: &mut Heard) {
        let gone = || format!("there is no Reflector {} in namespace {}", self.own.name, self.own.namespace);
        let read = match value.map(objects::reflector) {
            None | Some(Ok(Read::Absent)) => Err((gone(), true)),
            Some(Err(problem)) => Err((problem, false)),
            Some(Ok(Read::Held(held))) => match own::policy(&held.valid, &self.base) {
                Ok(policy) => Ok((held, policy)),
                Err(problem) => Err((problem, false)),
            },
        };
        match read {
            Ok((held, policy)) => {
                self.trouble = None;
                let known = self.reflector.as_ref();
                heard.keep |= known.is_none_or(|known| known.kept != held.kept);
                if known.is_none_or(|known| known.valid != held.valid) {
                    heard.effects.push(Effect::Reflector(policy, held.valid.offline_grace));
                }
                self.reflector = Some(held);
            }
            Err((problem, gone)) => {
                let trouble = if gone {
                    problem
                } else {
                    format!("Reflector {} cannot be used: {problem}", self.own.name)
                };
                self.trouble = Some(trouble);
                if gone && let Some(last) = self.reflector.take() {
                    heard.keep = true;
                    if let Ok(policy) = own::policy(&last.valid, &self.base) {
                        let policy = ReflectorPolicy { suspended: true, ..policy };
                        heard.effects.push(Effect::Reflector(policy, last.valid.offline_grace));
                    }
                }
            }
        }
    }

    fn peers_are(&mut self, watched: Watched, values: &[Value], heard: &mut Heard) {
        self.source(watched, |source| (source.listed, source.left_out) = (true, false));
        let listed: Vec<Arc<str>> =
            values.iter().filter_map(|value| Some(objects::peer(value, watched, &self.own)?.0)).collect();
        let known: Vec<Arc<str>> =
            self.sources.get(&watched).into_iter().flat_map(|source| source.peers.keys().cloned()).collect();
        let listed: std::collections::BTreeSet<&Arc<str>> = listed.iter().collect();
        for name in known.iter().filter(|name| !listed.contains(name)) {
            self.drop_peer(watched, name, heard);
        }
        for value in values {
            self.peer_is(watched, value, heard);
        }
    }

    fn peer_is(&mut self, watched: Watched, value: &Value, heard: &mut Heard) {
        let peer = match objects::peer(value, watched, &self.own) {
            None => return,
            Some((name, Read::Absent)) => return self.drop_peer(watched, &name, heard),
            Some((_, Read::Held(peer))) => peer,
        };
        let all: usize = self.sources.values().map(|source| source.peers.len()).sum();
        let Some(source) = self.sources.get_mut(&watched) else { return };
        let known = source.peers.get(&peer.name);
        if known.is_none() && all >= MAX_PEERS {
            if !source.left_out {
                source.left_out = true;
                heard.effects.extend(left_out().into_iter().map(|(key, object)| Effect::Apply(key, object)));
            }
            return;
        }
        heard.keep |= known.is_none_or(|known| known.kept != peer.kept);
        if known.is_none_or(|known| known.object != peer.object) {
            heard.effects.push(Effect::Apply(watched.key(&peer.name), Arc::clone(&peer.object)));
        }
        source.peers.insert(Arc::clone(&peer.name), peer);
    }

    fn drop_peer(&mut self, watched: Watched, name: &Arc<str>, heard: &mut Heard) {
        if self.sources.get_mut(&watched).is_some_and(|source| source.peers.remove(name).is_some()) {
            heard.keep = true;
            heard.effects.push(Effect::Delete(watched.key(name)));
        }
    }

    /// Says what the index has to be told besides single changes.
    fn settle(&mut self, heard: &mut Heard) {
        let complete =
            self.sources.values().all(|source| source.listed && matches!(source.watch, Standing::Stands));
        let ready = complete && self.reflector.is_some() && self.trouble.is_none();
        let why =
            self.trouble.as_ref().or_else(|| self.sources.values().find_map(|source| source.watch.why()));
        if ready && !self.current {
            if !self.loaded {
                // Single changes are part of the whole; what the Reflector says comes before anybody is let in.
                heard.effects.clear();
                let stated = self.reflector.as_ref().map(|held| (own::policy(&held.valid, &self.base), held));
                if let Some((Ok(policy), held)) = stated {
                    heard.effects.push(Effect::Reflector(policy, held.valid.offline_grace));
                }
            }
            heard.effects.push(Effect::Load(self.objects()));
            heard.keep |= !self.loaded;
            (self.loaded, self.current, self.told) = (true, true, None);
            return;
        }
        if !self.loaded {
            heard.effects.clear();
            heard.keep = false;
        }
        let lost = self.current && !ready;
        self.current &= ready;
        if let Some(why) = why.filter(|why| lost || self.told.as_ref() != Some(why)) {
            heard.effects.push(Effect::Away(why.clone()));
            self.told = Some(why.clone());
        }
    }

    fn objects(&self) -> Vec<(Key, Arc<Object>)> {
        let all = self.sources.iter().flat_map(|(watched, source)| {
            source.peers.values().map(|peer| (watched.key(&peer.name), Arc::clone(&peer.object)))
        });
        let mut all: Vec<_> = all.collect();
        if self.sources.values().any(|source| source.left_out) {
            all.extend(left_out());
        }
        all
    }
}

/// What was kept, as the index takes it.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) policy: ReflectorPolicy,
    pub(super) offline_grace: Duration,
    pub(super) objects: Vec<(Key, Arc<Object>)>,
}

/// What there is to watch.
pub(super) fn watched(own: &Own) -> impl Iterator<Item = Watched> {
    let fleet = own.fleet.as_ref().map(|_| Watched::FleetPeers);
    [Some(Watched::Own), Some(Watched::Peers), fleet].into_iter().flatten()
}

fn is_called(value: &Value, name: &str) -> bool {
    value.pointer("/metadata/name").and_then(Value::as_str) == Some(name)
}

fn left_out() -> Vec<(Key, Arc<Object>)> {
    let problem =
        format!("more than {MAX_PEERS} peers name this reflector: the rest is not loaded, remove some");
    // Sorts behind every name.
    manifest::unread("\u{10ffff} (rest of the peers)", Vec::new(), problem).objects
}
