//! Why a datagram got no answer, and how often. Goes into the result, so that nobody calls it loss of the path.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $cause:ident => $name:literal,)+) => {
        /// Why a datagram got no answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Cause {
            $($(#[doc = $doc])+ $cause,)+
        }

        impl Cause {
            /// All of them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$cause),+];

            /// The name in results.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$cause => $name,)+
                }
            }
        }
    };
}

causes! {
    /// Not from the granted peer's address.
    Source => "source",
    /// Without keys: not from the port that asked first.
    Port => "port",
    /// Not 64 to 8972 bytes, or it names another length than it has.
    Length => "length",
    /// No echo request.
    Kind => "kind",
    /// A request of another test.
    OtherTest => "other_test",
    /// Not made with the session's key.
    Tag => "tag",
    /// Answered before, or too old to know.
    Replay => "replay",
    /// More a second than the peer may ask.
    Rate => "rate",
    /// The day's bytes are used up.
    Quota => "quota",
    /// The answer could not be sent.
    Send => "send",
    /// More arrived at once than waits: the kernel's queue, or ours of datagrams from the control port.
    Queue => "queue",
    /// Never queued by the kernel: from another source, or its queue was full.
    Kernel => "kernel",
}

/// Counts by cause. The thread that answers counts, anybody may look.
#[derive(Debug, Default)]
pub struct Drops([AtomicU64; Cause::ALL.len()]);

impl Drops {
    /// Counts one.
    pub fn count(&self, cause: Cause) {
        self.add(cause, 1);
    }

    /// Counts some.
    pub fn add(&self, cause: Cause, datagrams: u64) {
        if let Some(counter) = self.0.get(cause as usize) {
            counter.fetch_add(datagrams, Ordering::Relaxed);
        }
    }

    /// How many of one cause.
    pub fn of(&self, cause: Cause) -> u64 {
        self.0.get(cause as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// The causes that happened, as they stand in the result.
    pub fn report(&self) -> Vec<(String, u64)> {
        let all = Cause::ALL.into_iter().map(|cause| (cause.as_str().to_owned(), self.of(cause)));
        all.filter(|(_, count)| *count > 0).collect()
    }
}
