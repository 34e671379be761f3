//! Streams of one test and their handles.

use std::cell::Cell;
use std::io;
use std::net::Shutdown;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use socket2::{SockRef, Type};

use crate::engine::purse::Purse;
use crate::engine::sys;

use super::PATIENCE;
use super::counters::Counters;
use super::link::{Bytes, DatagramLink, Link};
use super::run::Run;
use super::tcp::{self, Copied, Discarding, TcpSink, TcpSource};
use super::udp::{self, Batched, UdpSink, UdpSource};

/// Any socket.
type Socket = Arc<dyn AsFd + Send + Sync>;

/// Why a stream's thread ended.
#[derive(Debug)]
pub enum End {
    /// It was told to.
    Frozen,
    /// The purse is empty, or its owner said stop.
    NoBudget,
    /// The peer closed or reset the connection, or it was shut down on our side.
    PeerClosed,
    /// The socket failed otherwise.
    Failed(io::Error),
    /// A bug in here; the other streams go on.
    Panicked,
}

/// Others hold what is left of the budget, each for one call that waits for nothing: looked at again after this.
const OTHERS_PAUSE: Duration = Duration::from_millis(1);

/// What a worker is given.
pub(super) struct Work {
    pub(super) run: Arc<Run>,
    pub(super) counters: Arc<Counters>,
    purse: Arc<dyn Purse>,
    socket: Socket,
    /// What it waits for.
    direction: PollFlags,
    /// It got less than it wanted, or had waited for PATIENCE with bytes on lease that others may have needed: from now on
    /// it waits for its socket without any. As long as its socket keeps it busy that would be a call too many.
    sparing: Cell<bool>,
}

impl Work {
    /// One call that moves what the purse allows; [`Purse::spend`]. Waits for the socket at most [`PATIENCE`], as the call
    /// itself does.
    pub(super) fn spend(
        &self,
        want: RangeInclusive<usize>,
        call: &mut dyn FnMut(usize) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let (most, mut called) = (*want.end(), false);
        let moved = self.purse.spend(want, &mut |granted| {
            called = true;
            if granted < most {
                self.spare();
            }
            call(granted)
        });
        let blocked = moved.as_ref().is_some_and(|moved| {
            moved.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        });
        if blocked && !called {
            self.run.pause(OTHERS_PAUSE);
        } else if blocked && !self.spare() {
            self.wait_for_socket();
        }
        moved
    }

    /// From now on no call waits. True: the first time.
    fn spare(&self) -> bool {
        let first = !self.sparing.replace(true);
        if first {
            // Where it cannot be set, leases are held for PATIENCE, and a cut takes that much longer.
            let _ = SockRef::from(&self.socket).set_nonblocking(true);
        }
        first
    }

    /// A stream moves bytes one way, and whichever way it is blocked, the other says nothing.
    fn wait_for_socket(&self) {
        let patience = Timespec { tv_sec: 0, tv_nsec: PATIENCE.subsec_nanos().into() };
        let mut sockets = [PollFd::new(&self.socket, self.direction)];
        // Interrupted or not: the next call says what there is.
        let _ = poll(&mut sockets, Some(&patience));
    }
}

/// All streams of a test. They wait for [`start`](Self::start), end together at [`freeze`](Self::freeze), and are gone
/// with their threads and sockets when this is dropped.
pub struct Streams {
    run: Arc<Run>,
    purse: Arc<dyn Purse>,
    all: Vec<Stream>,
}

/// One stream: a thread and its socket, which stays open until this is dropped.
pub struct Stream {
    socket: Socket,
    counters: Arc<Counters>,
    end: Arc<OnceLock<End>>,
    thread: Option<JoinHandle<()>>,
}

impl Streams {
    /// None yet. They will lease from this purse.
    pub fn new(purse: Arc<dyn Purse>) -> Self {
        Self { run: Arc::new(Run::new()), purse, all: Vec::new() }
    }

    /// Those added from now on lease from this purse.
    pub fn lease_from(&mut self, purse: Arc<dyn Purse>) {
        self.purse = purse;
    }

    /// Adds a stream that receives. `name` becomes its thread's (15 bytes are kept).
    pub fn tcp_sink(&mut self, name: &str, link: Link, how: TcpSink) -> io::Result<&Stream> {
        match link {
            Link::Tcp(socket) => {
                let socket = Arc::new(socket);
                let reader = Arc::clone(&socket);
                self.add(name, socket, PollFlags::IN, move |work| {
                    if how.copy {
                        tcp::sink(Copied::new(reader), work)
                    } else {
                        tcp::sink(Discarding(reader), work)
                    }
                })
            }
            Link::Over(bytes, socket) => {
                self.add(name, socket, PollFlags::IN, move |work| tcp::sink(bytes, work))
            }
        }
    }

    /// Adds a stream that sends.
    pub fn tcp_source(&mut self, name: &str, link: Link, how: TcpSource) -> io::Result<&Stream> {
        match link {
            Link::Tcp(socket) => {
                if let Some(bits) = how.fq_rate {
                    sys::limit_pacing_rate(&socket, (bits / 8).max(1))?;
                }
                let socket = Arc::new(socket);
                let writer = Arc::clone(&socket);
                self.add(name, socket, PollFlags::OUT, move |work| tcp::plain_source(writer, how, work))
            }
            Link::Over(bytes, socket) => {
                self.add(name, socket, PollFlags::OUT, move |work| tcp::source(bytes, how, work))
            }
        }
    }

    /// Adds a stream that receives datagrams. Its socket takes them from now on, its thread from the start.
    pub fn udp_sink(&mut self, name: &str, link: DatagramLink, how: UdpSink) -> io::Result<&Stream> {
        match link {
            DatagramLink::Udp(socket) => {
                udp::prepare_sink(&socket, how)?;
                let socket = Arc::new(socket);
                let reader = Arc::clone(&socket);
                self.add(name, socket, PollFlags::IN, move |work| {
                    udp::sink(Batched::new(reader, how), how, work)
                })
            }
            DatagramLink::Over(datagrams, socket) => self.add(name, socket, PollFlags::IN, move |work| {
                udp::sink(udp::Single::new(datagrams), how, work)
            }),
        }
    }

    /// Adds a stream that sends datagrams.
    pub fn udp_source(&mut self, name: &str, link: DatagramLink, how: UdpSource) -> io::Result<&Stream> {
        match link {
            DatagramLink::Udp(socket) => {
                let socket = Arc::new(socket);
                let writer = Arc::clone(&socket);
                self.add(name, socket, PollFlags::OUT, move |work| udp::plain_source(writer, how, work))
            }
            DatagramLink::Over(datagrams, socket) => self.add(name, socket, PollFlags::OUT, move |work| {
                udp::source(udp::Single::new(datagrams), how, work)
            }),
        }
    }

    /// Lets all streams go, those of later additions too.
    pub fn start(&self) {
        self.run.start();
    }

    /// No stream makes another system call; all have ended, and their counters are final, within 150 ms
    /// ([`all_ended`](Self::all_ended)). Sockets stay open. Before the start: they never begin.
    pub fn freeze(&self) {
        self.run.freeze();
        for stream in &self.all {
            // A call that moves its bytes in parts then ends with the part it is at.
            let _ = SockRef::from(&stream.socket).set_nonblocking(true);
        }
    }

    /// Freezes, and frees threads at once whatever they wait for: the connections are shut down both ways.
    pub fn shutdown(&self) {
        self.freeze();
        for stream in &self.all {
            // Fails when the peer was faster.
            let _ = SockRef::from(&stream.socket).shutdown(Shutdown::Both);
        }
    }

    /// Resolves when a stream has ended, for whatever reason. Cancel-safe.
    pub async fn any_ended(&self) {
        self.wait_for(1).await;
    }

    /// Resolves when every stream has ended. Cancel-safe.
    pub async fn all_ended(&self) {
        self.wait_for(self.all.len()).await;
    }

    async fn wait_for(&self, count: usize) {
        // The sender lives in `self`.
        let _ = self.run.ended().wait_for(|ended| *ended >= count).await;
    }

    /// How many have ended.
    pub fn ended(&self) -> usize {
        *self.run.ended().borrow()
    }

    /// In the order they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Stream> {
        self.all.iter()
    }

    fn add(
        &mut self,
        name: &str,
        socket: Socket,
        direction: PollFlags,
        worker: impl FnOnce(&Work) -> End + Send + 'static,
    ) -> io::Result<&Stream> {
        let options = SockRef::from(&socket);
        options.set_nonblocking(false)?;
        options.set_read_timeout(Some(PATIENCE))?;
        options.set_write_timeout(Some(PATIENCE))?;
        let (counters, end) = (Arc::new(Counters::default()), Arc::new(OnceLock::new()));
        let work = Work {
            run: Arc::clone(&self.run),
            counters: Arc::clone(&counters),
            purse: Arc::clone(&self.purse),
            socket: Arc::clone(&socket),
            direction,
            sparing: Cell::new(false),
        };
        let ending = Arc::clone(&end);
        let thread =
            std::thread::Builder::new().name(name.to_owned()).spawn(move || live(&work, &ending, worker))?;
        self.all.push(Stream { socket, counters, end, thread: Some(thread) });
        // Just pushed.
        self.all.last().ok_or_else(|| io::ErrorKind::Other.into())
    }
}

/// A thread from its first to its last line.
fn live(work: &Work, end: &OnceLock<End>, worker: impl FnOnce(&Work) -> End) {
    work.counters.thread_begins();
    let why = if work.run.wait_for_start() {
        catch_unwind(AssertUnwindSafe(|| worker(work))).unwrap_or(End::Panicked)
    } else {
        End::Frozen
    };
    work.counters.thread_ends();
    // Set once, here.
    let _ = end.set(why);
    work.run.one_ended();
}

impl Stream {
    /// What it has moved so far; may be kept.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Its socket, for `TCP_INFO` and options. It is in blocking mode with timeouts and not to be read or written.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Why it has ended; `None` while it runs.
    pub fn end(&self) -> Option<&End> {
        self.end.get()
    }

    /// Bytes that wait unread, in the kernel or in a tunnel. Call it once, when the stream has ended: the kernel knows this of one datagram
    /// only, so those of a UDP stream are taken.
    pub fn unread(&self) -> u64 {
        let socket = SockRef::from(&self.socket);
        match (socket.r#type(), socket.recv_buffer_size()) {
            (Ok(Type::DGRAM), Ok(room)) => self.take_datagrams(room),
            _ => rustix::io::ioctl_fionread(&self.socket).unwrap_or(0).saturating_add(self.counters.left()),
        }
    }

    /// No more than there was room for at once: others may still be coming.
    fn take_datagrams(&self, room: usize) -> u64 {
        let (room, mut taken) = (u64::try_from(room).unwrap_or(u64::MAX), 0_u64);
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        while taken < room
            && let Ok((_, length)) = recv(&self.socket, &mut [0_u8][..], flags)
        {
            // Empty ones count for one, so that a flood of them holds nobody up.
            taken = taken.saturating_add(u64::try_from(length).unwrap_or(u64::MAX).max(1));
        }
        taken
    }

    /// Bounds the receive window from now on.
    pub fn clamp_window(&self, bytes: u32) -> io::Result<()> {
        sys::clamp_window(&self.socket, bytes)
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic is caught in there.
            let _ = thread.join();
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // Where all have ended the owner may want to reset: a shutdown would say goodbye first.
        if self.ended() < self.all.len() {
            self.shutdown();
        }
        // At once for connections; a call on a datagram socket ends with its timeout.
        for stream in &mut self.all {
            stream.join();
        }
    }
}

impl Bytes for Box<dyn Bytes> {
    fn read_discard(&mut self, max: usize) -> io::Result<usize> {
        (**self).read_discard(max)
    }

    fn waiting(&self) -> usize {
        (**self).waiting()
    }

    fn write(&mut self, count: usize) -> io::Result<usize> {
        (**self).write(count)
    }
}
