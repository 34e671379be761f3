//! When a start is killed, to see whether the next one copes: by what had come up, so that every stage gets its turn on
//! fast machines and on slow ones.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

/// A start that says nothing for so long hangs. The programs are built by then.
const SILENCE: Duration = Duration::from_secs(120);
/// Before anything has been said: a lock is taken, perhaps a folder made.
const AT_ONCE: Duration = Duration::from_millis(150);
/// How many components are up when a start is killed, round by round. A bed of two nodes has eleven. The first rounds are
/// the ones everybody runs: the middle, then both ends.
const COMPONENTS: [usize; 10] = [5, 0, 9, 1, 7, 3, 10, 2, 6, 4];

/// The moment of a round's kill.
pub(super) fn moment(round: u8) -> usize {
    COMPONENTS[usize::from(round.saturating_sub(1)) % COMPONENTS.len()]
}

/// Kills it, without any warning, as soon as so many components are up.
pub(super) async fn kill_after(mut start: Child, components: usize) -> Result<()> {
    let said = start.stdout.take().context("listen to the start")?;
    let mut lines = BufReader::new(said).lines();
    if components == 0 {
        // It may be a moment earlier or later; any is good.
        let _ = timeout(AT_ONCE, lines.next_line()).await;
    }
    for number in 0..components {
        let line = timeout(SILENCE, lines.next_line()).await.context("the start hangs")?;
        let line = line.context("listen to the start")?;
        ensure!(line.is_some(), "the start ended after {number} components; see cargo bed up");
    }
    start.kill().await.context("kill the start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_rounds_kill_at_every_moment_and_more_begin_again() {
        let mut moments: Vec<usize> = (1..=10).map(moment).collect();
        moments.sort_unstable();
        assert_eq!(moments, [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]);
        assert_eq!((moment(0), moment(11), moment(255)), (moment(1), moment(1), moment(5)));
    }
}
