//! Which denials are written and which are only counted. A stranger can cause as many as the network carries; without
//! a limit the audit log would be a way to fill our disk.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::clock::Now;
use crate::network::{SourceKey, source_key};

use super::event::EventType;

/// Lines of one kind from one source in one minute: enough to see what it tries.
/// Test: `one_source_gets_its_share_and_no_more`.
pub(super) const PER_SOURCE: u32 = 10;
/// Lines of one kind in one minute: about 70 MB a day at the very worst, for a flood that never ends. It bounds the map too.
/// Test: `all_sources_together_are_bounded`.
pub(super) const IN_ALL: u32 = 100;
/// One minute, in milliseconds.
const WINDOW_MS: u64 = 60_000;

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admit {
    /// Write it, and say in it how many were not written since the last one.
    Write {
        /// Count of those.
        suppressed: u64,
    },
    /// Counted here, nothing else.
    Suppress,
}

/// One window per kind.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    kinds: HashMap<EventType, Window>,
}

#[derive(Debug, Default)]
struct Window {
    started_ms: u64,
    written: u32,
    /// Holds only sources that had a line written, so at most [`IN_ALL`].
    sources: HashMap<Option<SourceKey>, u32>,
    suppressed: u64,
}

impl Limiter {
    /// Decides about an event that somebody hostile may have caused.
    pub(super) fn admit(&mut self, kind: EventType, source: Option<IpAddr>, now: Now) -> Admit {
        let window = self.kinds.entry(kind).or_default();
        if now.mono_ms.saturating_sub(window.started_ms) >= WINDOW_MS || window.written == 0 {
            window.started_ms = now.mono_ms;
            window.written = 0;
            window.sources = HashMap::new();
        }
        let source = source.map(source_key);
        let of_source = window.sources.get(&source).copied().unwrap_or(0);
        if window.written >= IN_ALL || of_source >= PER_SOURCE {
            window.suppressed = window.suppressed.saturating_add(1);
            return Admit::Suppress;
        }
        window.written += 1;
        window.sources.insert(source, of_source + 1);
        Admit::Write { suppressed: std::mem::take(&mut window.suppressed) }
    }

    /// An event of this kind is written without asking: it takes the count along.
    pub(super) fn take(&mut self, kind: EventType) -> u64 {
        self.kinds.get_mut(&kind).map_or(0, |window| std::mem::take(&mut window.suppressed))
    }

    /// A line with this count was not written after all.
    pub(super) fn give_back(&mut self, kind: EventType, suppressed: u64) {
        let window = self.kinds.entry(kind).or_default();
        window.suppressed = window.suppressed.saturating_add(suppressed);
    }

    /// What is still uncounted in the log, for the last lines of a process.
    pub(super) fn drain(&mut self) -> Vec<(EventType, u64)> {
        let counts = EventType::ALL.into_iter().map(|kind| (kind, self.take(kind)));
        counts.filter(|(_, suppressed)| *suppressed > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIND: EventType = EventType::ConnectionDenied;

    fn at(mono_ms: u64) -> Now {
        Now { mono_ms, wall: jiff::Timestamp::UNIX_EPOCH }
    }

    fn source(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    /// L2
    #[test]
    fn one_source_gets_its_share_and_no_more() {
        let mut limiter = Limiter::default();
        for _ in 0..PER_SOURCE {
            assert_eq!(limiter.admit(KIND, Some(source(1)), at(5)), Admit::Write { suppressed: 0 });
        }
        assert_eq!(limiter.admit(KIND, Some(source(1)), at(6)), Admit::Suppress);
        assert_eq!(limiter.admit(KIND, Some(source(2)), at(7)), Admit::Write { suppressed: 1 });
        assert_eq!(limiter.admit(KIND, Some(source(1)), at(5 + WINDOW_MS)), Admit::Write { suppressed: 0 });
    }

    /// A /64 is one source: whoever has one has 2^64 addresses.
    #[test]
    fn addresses_of_one_64_share_their_lines() {
        let mut limiter = Limiter::default();
        for host in 0..PER_SOURCE {
            limiter.admit(KIND, Some(format!("2001:db8::{host:x}").parse().unwrap()), at(1));
        }
        assert_eq!(limiter.admit(KIND, Some("2001:db8::ffff".parse().unwrap()), at(1)), Admit::Suppress);
    }

    #[test]
    fn a_flood_of_one_kind_leaves_the_others_alone() {
        let mut limiter = Limiter::default();
        for number in 0..IN_ALL {
            limiter.admit(KIND, Some(source(number)), at(1));
        }
        assert_eq!(limiter.admit(KIND, Some(source(IN_ALL)), at(1)), Admit::Suppress);
        let other = limiter.admit(EventType::SessionDenied, Some(source(IN_ALL)), at(1));
        assert_eq!(other, Admit::Write { suppressed: 0 });
    }

    #[test]
    fn what_was_suppressed_is_told_once() {
        let mut limiter = Limiter::default();
        for _ in 0..PER_SOURCE + 3 {
            limiter.admit(KIND, Some(source(1)), at(1));
        }
        assert_eq!(limiter.drain(), [(KIND, 3)]);
        assert_eq!(limiter.drain(), []);
        limiter.give_back(KIND, 3);
        assert_eq!(limiter.take(KIND), 3);
    }

    proptest! {
        /// L2: whatever the order and the clock, nothing is lost between "written" and "counted", and memory is bounded.
        #[test]
        fn all_sources_together_are_bounded(events in prop::collection::vec((0_u32..300, 0_u64..2000), 0..2000)) {
            let mut limiter = Limiter::default();
            let (mut now, mut written, mut told) = (0, 0_u64, 0);
            for (from, pause) in &events {
                now += pause / 20;
                if let Admit::Write { suppressed } = limiter.admit(KIND, Some(source(*from)), at(now)) {
                    written += 1;
                    told += suppressed;
                }
                let window = &limiter.kinds[&KIND];
                prop_assert!(window.sources.len() <= IN_ALL as usize && window.written <= IN_ALL);
            }
            told += limiter.take(KIND);
            prop_assert_eq!(written + told, events.len() as u64);
        }
    }
}
