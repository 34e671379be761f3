//! Who has a place (pure). A place is taken right after accept, before a byte is read, and kept until the socket is
//! closed. Strangers compete among themselves; places of known IDs are out of their reach.

use std::collections::{BTreeMap, HashMap};

use crds::EndpointId;

use crate::network::SourceKey;

use super::limits::{MAX_HALF_OPEN, MAX_HALF_OPEN_PER_SOURCE, MAX_KNOWN, MAX_PER_ID};

/// Names a connection for as long as the process lives.
pub type ConnectionId = u64;

/// All places.
#[derive(Debug, Default)]
pub struct Places {
    next: ConnectionId,
    /// Oldest first: ids only grow.
    half_open: BTreeMap<ConnectionId, SourceKey>,
    per_source: HashMap<SourceKey, usize>,
    known: HashMap<ConnectionId, EndpointId>,
    per_id: HashMap<EndpointId, usize>,
    /// Data connections of sessions: theirs are places of known IDs too, but not control connections.
    data: HashMap<ConnectionId, EndpointId>,
    data_per_id: HashMap<EndpointId, usize>,
}

/// A place was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Entered {
    /// The new connection.
    pub id: ConnectionId,
    /// Who has to go for it.
    pub evicted: Option<ConnectionId>,
}

/// A known ID may not have another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// It has all it may have.
    OfThisId,
    /// Others have taken every place there is for known IDs.
    InAll,
}

impl Places {
    /// A socket was accepted from `source`.
    pub fn enter(&mut self, source: SourceKey) -> Entered {
        let own = self.per_source.get(&source).copied().unwrap_or(0);
        let evicted = if own >= MAX_HALF_OPEN_PER_SOURCE {
            self.oldest_of(source)
        } else if self.half_open.len() >= MAX_HALF_OPEN {
            self.oldest_of_most_loaded()
        } else {
            None
        };
        if let Some(id) = evicted {
            self.leave(id);
        }
        self.next += 1;
        let id = self.next;
        self.half_open.insert(id, source);
        *self.per_source.entry(source).or_insert(0) += 1;
        Entered { id, evicted }
    }

    /// Policy knows the ID: the connection stops competing with strangers.
    pub fn identify(&mut self, id: ConnectionId, endpoint: EndpointId) -> Result<(), Full> {
        let own = self.per_id.get(&endpoint).copied().unwrap_or(0);
        if own >= MAX_PER_ID {
            return Err(Full::OfThisId);
        }
        if self.taken() >= MAX_KNOWN {
            return Err(Full::InAll);
        }
        self.leave(id);
        self.known.insert(id, endpoint);
        self.per_id.insert(endpoint, own + 1);
        Ok(())
    }

    /// The connection carries data of a session of this ID, which has counted it against what the session may have.
    pub fn carry(&mut self, id: ConnectionId, endpoint: EndpointId) -> Result<(), Full> {
        if self.taken() >= MAX_KNOWN {
            return Err(Full::InAll);
        }
        self.leave(id);
        self.data.insert(id, endpoint);
        *self.data_per_id.entry(endpoint).or_insert(0) += 1;
        Ok(())
    }

    /// The socket is closed. Harmless for one that was evicted before.
    pub fn leave(&mut self, id: ConnectionId) {
        if let Some(source) = self.half_open.remove(&id) {
            release(&mut self.per_source, &source);
        }
        if let Some(endpoint) = self.known.remove(&id) {
            release(&mut self.per_id, &endpoint);
        }
        if let Some(endpoint) = self.data.remove(&id) {
            release(&mut self.data_per_id, &endpoint);
        }
    }

    /// Descriptors ran out: the oldest stranger of the most loaded source makes room.
    pub fn evict_one(&mut self) -> Option<ConnectionId> {
        let id = self.oldest_of_most_loaded()?;
        self.leave(id);
        Some(id)
    }

    /// Connections policy does not know.
    pub fn half_open(&self) -> usize {
        self.half_open.len()
    }

    /// Control connections of known IDs.
    pub fn known(&self) -> usize {
        self.known.len()
    }

    /// Data connections.
    pub fn data(&self) -> usize {
        self.data.len()
    }

    /// Open control connections of one ID.
    pub fn of(&self, endpoint: &EndpointId) -> usize {
        self.per_id.get(endpoint).copied().unwrap_or(0)
    }

    /// Open connections of one ID, data connections included.
    pub fn all_of(&self, endpoint: &EndpointId) -> usize {
        self.of(endpoint) + self.data_per_id.get(endpoint).copied().unwrap_or(0)
    }

    fn taken(&self) -> usize {
        self.known.len() + self.data.len()
    }

    fn oldest_of(&self, source: SourceKey) -> Option<ConnectionId> {
        self.half_open.iter().find(|(_, s)| **s == source).map(|(id, _)| *id)
    }

    fn oldest_of_most_loaded(&self) -> Option<ConnectionId> {
        // Among equally loaded sources the one with the oldest connection gives it up.
        let most = self.per_source.values().max()?;
        self.half_open.iter().find(|(_, s)| self.per_source.get(s) == Some(most)).map(|(id, _)| *id)
    }
}

fn release<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::super::limits::MAX_CONNECTIONS;
    use super::*;

    fn source(n: u32) -> SourceKey {
        crate::network::source_key(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n)))
    }

    fn endpoint(n: u8) -> EndpointId {
        EndpointId::from_public_key([n; 32])
    }

    /// P9
    #[test]
    fn a_source_over_its_share_loses_its_own_oldest() {
        let mut places = Places::default();
        let quiet = places.enter(source(2)).id;
        let first = places.enter(source(1)).id;
        for _ in 1..MAX_HALF_OPEN_PER_SOURCE {
            assert_eq!(places.enter(source(1)).evicted, None);
        }
        assert_eq!(places.enter(source(1)).evicted, Some(first));
        assert_eq!(places.half_open(), MAX_HALF_OPEN_PER_SOURCE + 1);
        assert!(places.half_open.contains_key(&quiet));
    }

    /// P9
    #[test]
    fn when_all_half_open_places_are_taken_the_most_loaded_source_gives_one_up() {
        let mut places = Places::default();
        let single = places.enter(source(1000)).id;
        let mut oldest_of_pair = None;
        for n in 0..u32::try_from(MAX_HALF_OPEN).unwrap() - 1 {
            let entered = places.enter(source(if n == 7 || n == 9 { 7 } else { n + 100 }));
            assert_eq!(entered.evicted, None);
            if n == 7 {
                oldest_of_pair = Some(entered.id);
            }
        }
        assert_eq!(places.half_open(), MAX_HALF_OPEN);
        assert_eq!(places.enter(source(2000)).evicted, oldest_of_pair);
        assert_eq!(places.enter(source(2001)).evicted, Some(single), "all equal: the oldest goes");
    }

    /// P9
    #[test]
    fn strangers_cannot_take_places_of_known_ids() {
        let mut places = Places::default();
        let good = places.enter(source(1)).id;
        places.identify(good, endpoint(1)).unwrap();
        for n in 0..2000 {
            assert_ne!(places.enter(source(n % 600)).evicted, Some(good));
        }
        let again = places.enter(source(1)).id;
        assert_eq!(places.identify(again, endpoint(1)), Ok(()));
        assert_eq!(places.of(&endpoint(1)), 2);
    }

    /// P9
    #[test]
    fn the_ninth_connection_of_an_id_is_refused() {
        let mut places = Places::default();
        let mut last = 0;
        for n in 0..=MAX_PER_ID {
            last = places.enter(source(u32::try_from(n).unwrap())).id;
            let expected = if n < MAX_PER_ID { Ok(()) } else { Err(Full::OfThisId) };
            assert_eq!(places.identify(last, endpoint(3)), expected);
        }
        assert_eq!(places.half_open(), 1, "the refused one still competes with strangers");
        places.leave(last);
        assert_eq!((places.half_open(), places.known()), (0, MAX_PER_ID));
    }

    /// A running test is out of the reach of strangers, and takes no control connection from its peer.
    #[test]
    fn data_connections_are_places_of_known_ids_beside_its_control_connections() {
        let mut places = Places::default();
        let data = places.enter(source(1)).id;
        places.carry(data, endpoint(1)).unwrap();
        for n in 0..2000 {
            assert_ne!(places.enter(source(n % 600)).evicted, Some(data));
        }
        assert_eq!((places.of(&endpoint(1)), places.all_of(&endpoint(1)), places.data()), (0, 1, 1));
        for _ in 0..MAX_PER_ID {
            let id = places.enter(source(2)).id;
            places.identify(id, endpoint(1)).unwrap();
        }
        for n in 0..MAX_KNOWN - MAX_PER_ID {
            let id = places.enter(source(3)).id;
            let expected = if n < MAX_KNOWN - MAX_PER_ID - 1 { Ok(()) } else { Err(Full::InAll) };
            assert_eq!(places.carry(id, endpoint(2)), expected);
        }
        places.leave(data);
        assert_eq!(places.all_of(&endpoint(1)), MAX_PER_ID);
    }

    proptest! {
        /// P9: whatever happens, no cap is exceeded and the counts agree with the places.
        #[test]
        fn no_order_of_events_exceeds_a_cap(events in prop::collection::vec((0u8..5, 0u32..40, 0u8..40), 0..1200)) {
            let mut places = Places::default();
            let mut open = Vec::new();
            for (what, n, who) in events {
                match what {
                    0 | 1 => {
                        let entered = places.enter(source(n));
                        open.retain(|id| Some(*id) != entered.evicted);
                        open.push(entered.id);
                    }
                    2 if !open.is_empty() => {
                        let id = open[n as usize % open.len()];
                        if places.half_open.contains_key(&id) {
                            let _ = places.identify(id, endpoint(who));
                        }
                    }
                    3 if !open.is_empty() => {
                        let id = open[n as usize % open.len()];
                        if places.half_open.contains_key(&id) {
                            let _ = places.carry(id, endpoint(who));
                        }
                    }
                    _ if !open.is_empty() => {
                        let id = open.swap_remove(n as usize % open.len());
                        places.leave(id);
                    }
                    _ => {}
                }
                prop_assert!(places.half_open() <= MAX_HALF_OPEN);
                prop_assert!(places.known() + places.data() <= MAX_KNOWN);
                prop_assert!(places.half_open() + places.known() + places.data() <= MAX_CONNECTIONS);
                prop_assert!(places.per_source.values().all(|n| *n >= 1 && *n <= MAX_HALF_OPEN_PER_SOURCE));
                prop_assert!(places.per_id.values().all(|n| *n >= 1 && *n <= MAX_PER_ID));
                prop_assert_eq!(places.per_source.values().sum::<usize>(), places.half_open());
                prop_assert_eq!(places.per_id.values().sum::<usize>(), places.known());
                prop_assert_eq!(places.data_per_id.values().sum::<usize>(), places.data());
                prop_assert_eq!(open.len(), places.half_open() + places.known() + places.data());
            }
        }
    }
}
