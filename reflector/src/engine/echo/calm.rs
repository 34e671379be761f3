//! Whether a core may be burnt for exact times. Spinning spares a wake-up, and costs whoever else wants the core.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// An echo thread spins this long after a datagram before it sleeps: the next one of a busy peer is there by then.
pub const SPIN: Duration = Duration::from_micros(50);

/// What runs in this process that wants a core. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Calm(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    streams: AtomicUsize,
    echoes: AtomicUsize,
}

/// Something runs, until this is dropped.
#[derive(Debug)]
pub struct Running(Arc<Counts>, Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    Streams,
    Echo,
}

impl Calm {
    /// The streams of a throughput test run: nobody spins meanwhile.
    pub fn streams(&self) -> Running {
        self.run(Kind::Streams)
    }

    /// An echo thread runs.
    pub fn echo(&self) -> Running {
        self.run(Kind::Echo)
    }

    /// Whether an echo thread may spin: no stream runs, and a core is left for everything else.
    pub fn allows_spinning(&self, cores: usize) -> bool {
        self.0.streams.load(Ordering::Relaxed) == 0 && self.0.echoes.load(Ordering::Relaxed) < cores
    }

    fn run(&self, kind: Kind) -> Running {
        counter(&self.0, kind).fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(&self.0), kind)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        counter(&self.0, self.1).fetch_sub(1, Ordering::Relaxed);
    }
}

fn counter(counts: &Counts, kind: Kind) -> &AtomicUsize {
    match kind {
        Kind::Streams => &counts.streams,
        Kind::Echo => &counts.echoes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_spins_beside_streams_or_on_the_last_core() {
        let calm = Calm::default();
        let echo = calm.echo();
        assert!(calm.allows_spinning(2) && !calm.allows_spinning(1));
        let streams = calm.clone().streams();
        assert!(!calm.allows_spinning(64));
        drop(streams);
        let second = calm.echo();
        assert!(!calm.allows_spinning(2) && calm.allows_spinning(3));
        drop((echo, second));
        assert!(calm.allows_spinning(1));
    }
}
