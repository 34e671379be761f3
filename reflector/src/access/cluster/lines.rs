//! Cuts a stream of bytes into lines. Pure, and bounded whatever the other side sends.

/// Longest line: etcd takes objects of 1.5 MB, and an event is one object and a few words.
pub(super) const MAX_LINE: usize = 4 << 20;

/// A line that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Bytes of which no line is made yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Bytes that hold no line end, so that a long line is not searched again with each piece.
    searched: usize,
}

impl Lines {
    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Hands out the next whole line, without its end. Empty ones are left out.
    pub(super) fn pop(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return if self.buffer.len() > MAX_LINE { Err(TooLong) } else { Ok(None) };
            };
            let end = self.searched.saturating_add(at);
            // The line takes the buffer's room with it.
            let rest = self.buffer.split_off(end.saturating_add(1));
            let mut line = std::mem::replace(&mut self.buffer, rest);
            self.searched = 0;
            line.truncate(end);
            if line.len() > MAX_LINE {
                return Err(TooLong);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(lines: &mut Lines) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| lines.pop().unwrap()).collect()
    }

    #[test]
    fn a_line_that_never_ends_is_refused_before_it_fills_the_memory() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_LINE]);
        assert_eq!(lines.pop(), Ok(None));
        lines.push(b"x");
        assert_eq!(lines.pop(), Err(TooLong));
    }

    #[test]
    fn the_room_of_a_long_line_is_given_back() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; 1 << 20]);
        lines.push(b"\n");
        assert_eq!(all(&mut lines).len(), 1);
        assert!(lines.buffer.capacity() <= 4096, "{}", lines.buffer.capacity());
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_arrive(
            text in "[a-c\n ]{0,60}",
            cuts in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let mut whole = Lines::default();
            whole.push(text.as_bytes());
            let expected: Vec<Vec<u8>> = text
                .rsplit_once('\n')
                .map_or("", |(ended, _)| ended)
                .split('\n')
                .filter(|line| !line.trim().is_empty())
                .map(|line| line.as_bytes().to_vec())
                .collect();
            prop_assert_eq!(all(&mut whole), expected.clone());
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(text.len())).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            let (mut pieces, mut found, mut from) = (Lines::default(), Vec::new(), 0);
            for to in cuts {
                pieces.push(&text.as_bytes()[from..to]);
                found.extend(all(&mut pieces));
                from = to;
            }
            prop_assert_eq!(found, expected);
        }
    }
}
