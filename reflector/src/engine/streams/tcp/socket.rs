//! The ways a plain socket is read and written.
#![expect(clippy::disallowed_methods, reason = "the pace of a link is measured in real time")]

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};

use crate::engine::sys::{self, ConstantPages};

use super::filler::fill;
use crate::engine::streams::link::Bytes;

/// One buffer that stays in the cache, however often it is sent.
const HOT: usize = 64 * 1024;

/// How many times one call sends it.
const REPEATS: usize = 16;

/// Receives without copying.
pub(in crate::engine::streams) struct Discarding(pub(in crate::engine::streams) Arc<TcpStream>);

impl Bytes for Discarding {
    fn read_discard(&mut self, max: usize) -> io::Result<usize> {
        sys::discard(&self.0, max)
    }

    fn write(&mut self, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Copies, both ways.
pub(in crate::engine::streams) struct Copied {
    socket: Arc<TcpStream>,
    buffer: Vec<u8>,
}

impl Copied {
    pub(in crate::engine::streams) fn new(socket: Arc<TcpStream>) -> Self {
        let mut buffer = vec![0; HOT];
        fill(&mut buffer);
        Self { socket, buffer }
    }
}

impl Bytes for Copied {
    fn read_discard(&mut self, max: usize) -> io::Result<usize> {
        let length = self.buffer.len().min(max);
        (&*self.socket).read(self.buffer.get_mut(..length).unwrap_or_default())
    }

    fn write(&mut self, count: usize) -> io::Result<usize> {
        let mut left = count;
        let slices: [IoSlice<'_>; REPEATS] = std::array::from_fn(|_| {
            let length = left.min(HOT);
            left -= length;
            IoSlice::new(self.buffer.get(..length).unwrap_or_default())
        });
        let used = count.div_ceil(HOT).min(REPEATS);
        let slices = slices.get(..used).unwrap_or_default();
        Ok(sendmsg(&self.socket, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }
}

/// The kernel sends what is in a pipe in steps of 16 pages, each with a timeout of its own. On a slow link a call is kept
/// to fewer of them once it takes longer than this, so that counters move and a stream can be stopped.
const SLOW_CALL: Duration = Duration::from_millis(25);

/// One such step.
const LEAST_REFERENCED: usize = 64 * 1024;

/// Sends constant pages through a pipe, without copying.
pub(in crate::engine::streams) struct Referenced {
    socket: Arc<TcpStream>,
    pages: ConstantPages,
    into: OwnedFd,
    out: OwnedFd,
    /// In the pipe.
    filled: usize,
    /// What one call sends at most.
    step: usize,
}

impl Referenced {
    pub(in crate::engine::streams) fn new(socket: Arc<TcpStream>) -> io::Result<Self> {
        let (out, into) = pipe()?;
        // Fails when the user's share of pipe memory is used up.
        fcntl_setpipe_size(&into, ConstantPages::BYTES)?;
        let pages = ConstantPages::new(fill)?;
        Ok(Self { socket, pages, into, out, filled: 0, step: LEAST_REFERENCED })
    }
}

impl Bytes for Referenced {
    fn read_discard(&mut self, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write(&mut self, count: usize) -> io::Result<usize> {
        if self.filled == 0 {
            self.filled = self.pages.fill_pipe(&self.into)?;
        }
        let count = count.min(self.filled).min(self.step);
        let before = Instant::now();
        let sent = splice(&self.out, None, &self.socket, None, count, SpliceFlags::empty());
        let step = if before.elapsed() > SLOW_CALL { self.step / 2 } else { self.step * 2 };
        self.step = step.clamp(LEAST_REFERENCED, ConstantPages::BYTES);
        let sent = sent?;
        self.filled = self.filled.saturating_sub(sent);
        Ok(sent)
    }
}
