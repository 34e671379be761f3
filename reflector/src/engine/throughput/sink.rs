//! The purse of one TCP stream that receives: it sets aside what its peer may still send ([`Ahead`]), and makes the room of its
//! socket smaller with what is left before it reads on. Each thread does so for its own socket, so it matters to nobody when
//! another one runs.

use std::io;
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use socket2::SockRef;

use crate::engine::purse::Purse;
use crate::engine::sys;
use crate::session::Reserve;

use super::ahead::{Ahead, SPARE};
use super::budget::{Common, largest_room, lock};

/// Memory of a socket as a multiple of its window: what is on the way, what is not read yet, and the kernel's own part of
/// both, which is about as much again.
const ROOM: u64 = 4;

/// The purse of one TCP stream that receives.
pub(super) struct Sink {
    common: Arc<Common>,
    socket: OwnedFd,
    /// A buffer somebody asked for, which is not to grow.
    asked: Option<u64>,
    /// Its own thread's.
    state: Mutex<State>,
    closed: AtomicBool,
    /// The room of its socket, for others.
    room: AtomicU64,
}

struct State {
    ahead: Ahead,
    reserve: Reserve,
}

impl Sink {
    /// With the buffer it was asked to have (0: none). From here on what its peer may send is set aside.
    pub(super) fn new(common: Arc<Common>, socket: OwnedFd, asked: u32) -> Self {
        let now = SockRef::from(&socket).recv_buffer_size().map_or(0, bytes);
        // On its own the kernel gives it no more.
        let room = largest_room().max(now);
        let state = State { ahead: Ahead::new(room), reserve: common.meter.reserve() };
        let sink = Self {
            common,
            socket,
            asked: Some(u64::from(asked)).filter(|bytes| *bytes > 0),
            state: Mutex::new(state),
            closed: AtomicBool::new(false),
            room: AtomicU64::new(room),
        };
        sink.prepare(&mut lock(&sink.state));
        sink
    }

    /// Makes the room of the socket that of what is left, and sets aside what may come.
    fn prepare(&self, state: &mut State) {
        let Some(room) = self.common.room() else { return };
        let State { ahead, reserve } = state;
        let before = reserve.bytes();
        if room < ahead.room() && !self.closed.load(Ordering::Acquire) {
            self.narrow(ahead, room);
        }
        reserve.set(ahead.owed());
        self.changed(before, reserve.bytes());
    }

    fn narrow(&self, ahead: &mut Ahead, room: u64) {
        let socket = SockRef::from(&self.socket);
        // The kernel doubles it. On a connection that is gone nothing is advertised.
        let buffer = self.asked.map_or(room / 2, |asked| asked.min(room / 2));
        let _ = socket.set_recv_buffer_size(usize::try_from(buffer).unwrap_or(usize::MAX));
        // Of the room, so that there is some for what was advertised before.
        let _ = sys::clamp_window(&self.socket, u32::try_from(room / ROOM).unwrap_or(u32::MAX));
        let Ok(room) = socket.recv_buffer_size().map(bytes) else { return };
        // In this order: what arrives in between is counted twice and not missed.
        let window = sys::tcp_info(&self.socket).ok().and_then(|info| info.rcv_wnd);
        let unread = rustix::io::ioctl_fionread(&self.socket).ok();
        ahead.narrowed(room, window.zip(unread).map(|(window, unread)| unread.saturating_add(window.into())));
        self.room.store(room, Ordering::Release);
    }

    fn changed(&self, before: u64, now: u64) {
        if now != before {
            // Wraps where it is less.
            self.common.held.fetch_add(now.wrapping_sub(before), Ordering::AcqRel);
        }
    }

    /// Nobody reads any more.
    pub(super) fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) && self.room.load(Ordering::Acquire) > SPARE {
            let _ = SockRef::from(&self.socket).set_recv_buffer_size(1);
        }
    }

    /// Pays for one call from what is set aside and stays away from the room it makes, and from a lease.
    fn pay(
        &self,
        state: &mut State,
        (least, most): (usize, usize),
        syscall: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let meter = &self.common.meter;
        let State { ahead, reserve } = state;
        let share = self.common.share();
        let mut paid = usize::try_from(ahead.paid(reserve.bytes())).unwrap_or(usize::MAX).min(most);
        let mut lease = None;
        if paid < least {
            paid = 0;
            lease = Some(meter.lease_between(bytes(least), bytes(most.min(share.max(least)))));
        } else if paid < most {
            lease = Some(meter.lease(bytes(share.min(most - paid))));
        }
        if meter.is_stopped() {
            return None;
        }
        let leased = lease.as_ref().map_or(0, |lease| usize::try_from(lease.bytes()).unwrap_or(0));
        if leased > 0 {
            self.common.leased();
        } else if paid == 0 {
            self.common.nothing_leased();
            return Some(Err(io::ErrorKind::WouldBlock.into()));
        }
        let moved = syscall(paid.saturating_add(leased));
        match &moved {
            Ok(count @ 1..) => {
                let own = paid.min(*count);
                reserve.spend(bytes(own));
                ahead.read(bytes(*count));
                if let Some(lease) = lease {
                    lease.settle(bytes(count.saturating_sub(own)));
                }
            }
            moved if is_over(moved) => {
                ahead.closed();
                reserve.set(0);
            }
            _ => {}
        }
        Some(moved)
    }
}

impl Purse for Sink {
    fn spend(
        &self,
        want: RangeInclusive<usize>,
        syscall: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let mut state = lock(&self.state);
        self.prepare(&mut state);
        let before = state.reserve.bytes();
        let moved = self.pay(&mut state, want.into_inner(), syscall);
        self.changed(before, state.reserve.bytes());
        if moved.is_none() {
            self.close();
        }
        moved
    }
}

/// Nothing more comes of a stream that was read like this.
fn is_over(moved: &io::Result<usize>) -> bool {
    match moved {
        Ok(count) => *count == 0,
        Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof),
    }
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
