//! Who is connected to the health port, and who has to go when it is full: the oldest connection of the source that
//! has most. So whoever fills the port throws out themselves, and the kubelet is still answered. Pure.

use std::collections::{HashMap, VecDeque};

use crate::network::SourceKey;

/// Connections at once. A kubelet, a Prometheus and a person need five; with the bytes one may send this bounds what the
/// port costs to about a megabyte. Test: `a_full_port_throws_out_whoever_filled_it`.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// The open connections, oldest first, each with a `handle` to end it.
#[derive(Debug)]
pub(super) struct Crowd<H> {
    open: VecDeque<(u64, SourceKey, H)>,
    next: u64,
}

impl<H> Crowd<H> {
    pub(super) const fn new() -> Self {
        Self { open: VecDeque::new(), next: 0 }
    }

    /// A connection comes. Returns its number and the one that has to go for it, if any.
    pub(super) fn enter(&mut self, source: SourceKey, handle: H) -> (u64, Option<H>) {
        let gone = if self.open.len() >= MAX_CONNECTIONS { self.oldest_of_the_most_loaded() } else { None };
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.push_back((number, source, handle));
        (number, gone)
    }

    /// A connection is over, by whatever cause.
    pub(super) fn leave(&mut self, number: u64) {
        self.open.retain(|(open, ..)| *open != number);
    }

    fn oldest_of_the_most_loaded(&mut self) -> Option<H> {
        let mut loads: HashMap<SourceKey, usize> = HashMap::new();
        for (_, source, _) in &self.open {
            *loads.entry(*source).or_default() += 1;
        }
        let most = loads.values().copied().max()?;
        let victim = self.open.iter().position(|(_, source, _)| loads.get(source) == Some(&most))?;
        self.open.remove(victim).map(|(_, _, handle)| handle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::network::source_key;

    fn source(number: u8) -> SourceKey {
        source_key([10, 0, 0, number].into())
    }

    #[test]
    fn the_oldest_of_the_most_loaded_source_goes() {
        let mut crowd = Crowd::new();
        assert_eq!(crowd.enter(source(1), "kubelet").1, None);
        for _ in 1..MAX_CONNECTIONS {
            assert_eq!(crowd.enter(source(2), "stranger").1, None);
        }
        assert_eq!(crowd.enter(source(2), "stranger").1, Some("stranger"));
        assert_eq!(crowd.enter(source(3), "prometheus").1, Some("stranger"));
        assert!(crowd.open.iter().any(|(_, _, who)| *who == "kubelet"));
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut crowd = Crowd::new();
        let numbers: Vec<u64> = (0..MAX_CONNECTIONS).map(|_| crowd.enter(source(1), ()).0).collect();
        crowd.leave(numbers[7]);
        assert_eq!(crowd.enter(source(1), ()).1, None);
        assert_eq!(crowd.enter(source(1), ()).1, Some(()));
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_and_every_one_is_let_in(sources in prop::collection::vec(0_u8..9, 0..500)) {
            let mut crowd = Crowd::new();
            for from in sources {
                let (number, gone) = crowd.enter(source(from), crowd.next);
                prop_assert!(gone != Some(number));
                prop_assert!(crowd.open.len() <= MAX_CONNECTIONS);
                prop_assert!(crowd.open.iter().any(|(open, ..)| *open == number));
            }
        }
    }
}
