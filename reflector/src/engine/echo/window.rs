//! The replay window: a request is answered once. Fresh is what lies above the highest number seen, or is one of the 1024
//! below it that were not seen, so that reordered requests still count.

/// How far below the highest a late request is still told from a replayed one.
pub const DEPTH: u64 = 1024;

const WORD: u64 = u64::BITS as u64;
const WORDS: usize = (DEPTH / WORD) as usize;

/// Which numbers were seen. Numbers start at 1; 0 is never fresh.
#[derive(Debug, Clone, Default)]
pub struct Window {
    highest: u64,
    /// One bit per number: the highest and the `DEPTH - 1` below it, at the place `number % DEPTH`, so that nothing is
    /// ever shifted. The number `DEPTH` below shares the highest one's place and has a bit of its own.
    seen: [u64; WORDS],
    last_seen: bool,
}

impl Window {
    /// Whether this number was never seen and is not too old to know.
    pub fn is_fresh(&self, number: u64) -> bool {
        if number == 0 {
            return false;
        }
        match self.highest.checked_sub(number) {
            None => true,
            Some(DEPTH) => !self.last_seen,
            Some(below) => below < DEPTH && !self.bit(number),
        }
    }

    /// Remembers a fresh number.
    pub fn mark(&mut self, number: u64) {
        if number > self.highest {
            self.advance(number);
        }
        match self.highest - number {
            DEPTH => self.last_seen = true,
            below if below < DEPTH => self.seen[place(number)] |= mask(number),
            _ => {}
        }
    }

    fn advance(&mut self, to: u64) {
        let steps = to - self.highest;
        // What will be DEPTH below the new highest, as far as it was inside the window.
        let last = to.saturating_sub(DEPTH);
        let last_seen = last > 0 && !self.is_fresh(last) && last <= self.highest;
        if steps >= DEPTH {
            self.seen = [0; WORDS];
        } else {
            for number in self.highest + 1..=to {
                self.seen[place(number)] &= !mask(number);
            }
        }
        self.last_seen = last_seen;
        self.highest = to;
    }

    fn bit(&self, number: u64) -> bool {
        self.seen[place(number)] & mask(number) != 0
    }
}

const fn place(number: u64) -> usize {
    (number % DEPTH / WORD) as usize
}

const fn mask(number: u64) -> u64 {
    1 << (number % WORD)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_fresh_once_and_only_inside_the_window() {
        let mut window = Window::default();
        assert!(!window.is_fresh(0));
        for number in [1, 2, 5000] {
            assert!(window.is_fresh(number));
            window.mark(number);
            assert!(!window.is_fresh(number));
        }
        assert!(window.is_fresh(5000 - DEPTH) && !window.is_fresh(5000 - DEPTH - 1));
        window.mark(5000 - DEPTH);
        assert!(!window.is_fresh(5000 - DEPTH) && window.is_fresh(5000 - DEPTH + 1));
        window.mark(u64::MAX);
        assert!(window.is_fresh(u64::MAX - DEPTH) && !window.is_fresh(5001));
    }

    proptest! {
        /// E8: against a set that remembers everything.
        #[test]
        fn the_window_agrees_with_one_that_never_forgets(
            steps in prop::collection::vec((0_u64..2300, any::<bool>()), 1..400),
        ) {
            let mut window = Window::default();
            let (mut seen, mut highest) = (BTreeSet::new(), 0_u64);
            for (step, back) in steps {
                let number = if back { highest.saturating_sub(step) } else { highest + step / 16 };
                let fresh = number > 0 && !seen.contains(&number) && number.saturating_add(DEPTH) >= highest;
                prop_assert_eq!(window.is_fresh(number), fresh, "{} of {}", number, highest);
                if fresh {
                    window.mark(number);
                    seen.insert(number);
                    highest = highest.max(number);
                }
            }
        }
    }
}
