//! What the peer of one stream may still send, whatever we decide meanwhile (pure).
//!
//! A window that was advertised is never taken back: until its bytes have come they are owed, by whoever pays for what
//! crosses the network. The memory of the socket bounds what is advertised on top of what is not read yet, and both together
//! are what a cut may leave behind. All of it but [`SPARE`] is set aside before the kernel may offer it; so a thread that gets
//! no processor cannot make a limit miss.

/// What a peer may send beyond the last byte that was there to spend: the buffer of one stream, and the only one that is not
/// set aside. Less, and a stream only crawls. The kernel takes one train of segments (64 KiB) more than it has room for.
/// Test: `an_upload_at_full_speed_crosses_the_limit_by_no_more_than_one_buffer_per_stream`.
pub(super) const SPARE: u64 = 128 << 10;

/// One stream that receives.
#[derive(Debug)]
pub(super) struct Ahead {
    /// At most so many bytes come after those that were read. Never below `room`.
    open: u64,
    /// Memory of its socket: what the kernel may let come after any byte that is read from now on.
    room: u64,
}

impl Ahead {
    /// With a socket that never had more room than this.
    pub(super) const fn new(room: u64) -> Self {
        Self { open: room, room }
    }

    /// Memory of its socket.
    pub(super) const fn room(&self) -> u64 {
        self.room
    }

    /// The socket has this much room from now on. `waits`: what it holds unread and has advertised, if the kernel says.
    pub(super) fn narrowed(&mut self, room: u64, waits: Option<u64>) {
        self.room = room;
        self.open = waits.unwrap_or(self.open).min(self.open).max(room);
    }

    /// Nothing comes any more.
    pub(super) const fn closed(&mut self) {
        (self.open, self.room) = (0, 0);
    }

    /// Bytes to be set aside.
    pub(super) const fn owed(&self) -> u64 {
        self.open.saturating_sub(SPARE)
    }

    /// How many of the bytes `held` may be spent on reading: what is read makes no room for as many others.
    pub(super) fn paid(&self, held: u64) -> u64 {
        held.saturating_add(SPARE).saturating_sub(self.room).min(held)
    }

    /// So many were read. The kernel may have advertised its whole room anew.
    pub(super) fn read(&mut self, bytes: u64) {
        self.open = self.open.saturating_sub(bytes).max(self.room);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_window_that_is_not_filled_yet_is_owed_until_it_is() {
        let mut ahead = Ahead::new(8 * MIB);
        assert_eq!(
            (ahead.owed(), ahead.paid(8 * MIB - SPARE)),
            (8 * MIB - SPARE, 0),
            "room for all that is held"
        );
        ahead.narrowed(MIB, Some(5 * MIB));
        assert_eq!(ahead.owed(), 5 * MIB - SPARE, "offered before it was narrowed");
        assert_eq!(ahead.paid(ahead.owed()), 4 * MIB, "and paid for");
        ahead.read(3 * MIB);
        assert_eq!(ahead.owed(), 2 * MIB - SPARE);
        ahead.read(3 * MIB);
        assert_eq!(ahead.owed(), MIB - SPARE, "the kernel has offered its room again");
        ahead.narrowed(SPARE, None);
        ahead.read(MIB - SPARE);
        assert_eq!((ahead.owed(), ahead.paid(0)), (0, 0));
    }

    /// The kernel of the model advertises as much as it may, and the peer sends whatever it likes of it.
    #[derive(Debug, Clone)]
    enum Step {
        Narrow(u64),
        Arrive(u64),
        Read(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = 0..9 * MIB;
        prop_oneof![
            bytes.clone().prop_map(Step::Narrow),
            bytes.clone().prop_map(Step::Arrive),
            bytes.prop_map(Step::Read)
        ]
    }

    proptest! {
        /// G6, X1: however streams are scheduled, what was read, what waits and what may come is within the limit and one
        /// buffer each.
        #[test]
        fn what_may_come_is_set_aside_or_spare(
            limit in 0..40 * MIB, steps in prop::collection::vec((0..3_usize, step()), 1..80),
        ) {
            const FIRST: u64 = 256 << 10;
            let mut free = limit;
            let mut taken = 0;
            // Ahead, held, unread, offered beyond what has arrived.
            let mut streams: Vec<_> = (0..3).map(|_| (Ahead::new(FIRST), 0_u64, 0_u64, FIRST)).collect();
            for (ahead, held, ..) in &mut streams {
                *held = ahead.owed();
                prop_assume!(free >= *held);
                free -= *held;
            }
            for (at, step) in steps {
                let (ahead, held, unread, offered) = &mut streams[at];
                match step {
                    Step::Narrow(room) if room < ahead.room() => {
                        let room = room.max(SPARE);
                        ahead.narrowed(room.min(ahead.room()), Some(*unread + *offered));
                        free += *held - ahead.owed();
                        *held = ahead.owed();
                    }
                    Step::Narrow(_) => {}
                    Step::Arrive(bytes) => {
                        let bytes = bytes.min(*offered);
                        (*unread, *offered) = (*unread + bytes, *offered - bytes);
                    }
                    Step::Read(bytes) => {
                        let paid = ahead.paid(*held);
                        let bytes = bytes.min(*unread).min(paid + free);
                        let own = bytes.min(paid);
                        (*held, free) = (*held - own, free - (bytes - own));
                        taken += bytes;
                        *unread -= bytes;
                        ahead.read(bytes);
                        *offered = (*offered).max(ahead.room().saturating_sub(*unread));
                        prop_assert_eq!(*held, ahead.owed());
                    }
                }
                let may_come: u64 = streams.iter().map(|(_, _, unread, offered)| unread + offered).sum();
                prop_assert!(taken + may_come <= limit + 3 * SPARE);
            }
        }
    }
}
