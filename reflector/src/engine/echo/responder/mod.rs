//! The thread that answers one session's echo, from its start to its end.
//!
//! A throughput test starts one beside its streams when the peer may use echo, so that latency under load is measured by
//! the same datagrams as idle.

mod setup;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::oneshot;

use super::accept::Desk;
use super::bell::Bell;
use super::calm::{Calm, SPIN};
use super::drops::{Cause, Drops};
use super::exchange::{Exchange, Turn};
use super::lobby::Lobby;
use super::tunnelled::Tunnelled;
use super::{moment, socket};
use crate::engine::door::Datagram;
use crate::engine::sys;

pub use self::setup::{Intake, Schedule, Setup};

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Told to.
    Stopped,
    /// Its time is over.
    Completed,
    /// Nobody asked.
    NeverStarted,
    /// No byte may move any more.
    Dry,
    /// The tunnel was closed.
    Closed,
    /// The socket failed.
    Failed,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Why.
    pub end: End,
    /// First to last answer.
    pub duration: Duration,
}

/// A running responder. Dropped, it stops: thread and sockets are gone when drop returns.
#[derive(Debug)]
pub struct Responder {
    bell: Arc<Bell>,
    finished: oneshot::Receiver<Finished>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts the thread.
    pub fn start(setup: Setup) -> io::Result<Self> {
        let bell = Bell::new()?;
        let (report, finished) = oneshot::channel();
        let ours = Arc::clone(&bell);
        let thread = std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
            let running = setup.calm.echo();
            let finished = Answering::new(setup, ours).run();
            drop(running);
            // Nobody waits any more: then nobody needs to know.
            let _ = report.send(finished);
        })?;
        Ok(Self { bell, finished, thread: Some(thread) })
    }

    /// Asks it to end; [`Responder::finished`] tells when it has.
    pub fn stop(&self) {
        self.bell.stop();
    }

    /// Waits for its end. Cancel-safe; call once.
    pub async fn finished(&mut self) -> Finished {
        let finished = (&mut self.finished).await;
        self.join();
        finished.unwrap_or(Finished { end: End::Failed, duration: Duration::ZERO })
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It never waits for anything but its descriptors and the bell. A panic shows as no report.
            let _ = thread.join();
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.bell.stop();
        self.join();
    }
}

/// The thread's own.
struct Answering {
    exchange: Exchange,
    source: Source,
    bell: Arc<Bell>,
    drops: Arc<Drops>,
    calm: Calm,
    schedule: Schedule,
    cores: usize,
    began: u64,
    /// First and last accepted request.
    served: Option<(u64, u64)>,
}

enum Source {
    Port(UdpSocket),
    Lobby { lobby: Box<dyn Lobby>, current: Option<(UdpSocket, SocketAddr)> },
    Tunnel(Box<Tunnelled>, SocketAddr),
}

impl Answering {
    fn new(setup: Setup, bell: Arc<Bell>) -> Self {
        let began = moment::steady();
        let exchange = Exchange::new(Desk::new(setup.terms, began), setup.purse, Arc::clone(&setup.drops));
        let source = match setup.intake {
            Intake::Port(socket) => Source::Port(socket),
            Intake::Lobby(lobby) => Source::Lobby { lobby, current: None },
            Intake::Tunnel(tunnel, from) => Source::Tunnel(tunnel, from),
        };
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (calm, schedule, drops) = (setup.calm, setup.schedule, setup.drops);
        Self { exchange, source, bell, drops, calm, schedule, cores, began, served: None }
    }

    fn run(mut self) -> Finished {
        // The first look at the lobby also leaves the bell there.
        self.bell.ring();
        let end = match self.answer() {
            Ok(end) => end,
            Err(error) => {
                tracing::warn!(%error, "answer echo");
                End::Failed
            }
        };
        if let Source::Port(socket) | Source::Lobby { current: Some((socket, _)), .. } = &self.source {
            count_kernel_drops(socket, &self.drops);
        }
        let duration = self.served.map_or(0, |(first, last)| last.saturating_sub(first));
        Finished { end, duration: Duration::from_nanos(duration) }
    }

    fn answer(&mut self) -> io::Result<End> {
        loop {
            let now = moment::steady();
            let rang = self.bell.hear();
            if let Some(end) = self.over(now) {
                return Ok(end);
            }
            let mut turn = Turn::default();
            if rang {
                turn = self.look_into_lobby();
            }
            turn = turn.and(match self.turn() {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(End::Closed),
                other => other?,
            });
            if turn.accepted > 0 {
                self.served = Some((self.served.map_or(now, |(first, _)| first), now));
            }
            if turn.dry {
                return Ok(if self.bell.is_stopped() { End::Stopped } else { End::Dry });
            }
            if turn.seen == 0 && !self.may_spin(now) {
                self.wait(now)?;
            }
        }
    }

    fn over(&self, now: u64) -> Option<End> {
        if self.bell.is_stopped() {
            return Some(End::Stopped);
        }
        let (deadline, end) = self.deadline()?;
        (now >= deadline).then_some(end)
    }

    fn deadline(&self) -> Option<(u64, End)> {
        let Schedule::Alone { start_within, runs_for } = self.schedule else { return None };
        let after = |from: u64, time: Duration| {
            from.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
        };
        Some(match self.served {
            None => (after(self.began, start_within), End::NeverStarted),
            Some((first, _)) => (after(first, runs_for), End::Completed),
        })
    }

    /// Only what was accepted keeps it awake: a stranger's flood must not.
    fn may_spin(&self, now: u64) -> bool {
        let recent = self.served.is_some_and(|(_, last)| u128::from(now - last) < SPIN.as_nanos());
        recent && self.calm.allows_spinning(self.cores)
    }

    fn turn(&mut self) -> io::Result<Turn> {
        match &mut self.source {
            Source::Port(socket) => self.exchange.turn(socket, None),
            Source::Lobby { current: Some((socket, remote)), .. } => {
                self.exchange.turn(socket, Some(*remote))
            }
            Source::Lobby { current: None, .. } => Ok(Turn::default()),
            Source::Tunnel(tunnel, from) => self.exchange.turn_tunnel(tunnel, *from),
        }
    }

    fn look_into_lobby(&mut self) -> Turn {
        let Source::Lobby { lobby, current } = &mut self.source else { return Turn::default() };
        let waker = self.bell.waker();
        let mut turn = Turn::default();
        while let Some(Datagram { from, bytes }) = lobby.next(&waker) {
            if let Err(cause) = self.exchange.would_serve(&bytes, from) {
                self.drops.count(cause);
                continue;
            }
            let mut early = vec![bytes];
            if current.as_ref().is_none_or(|(_, remote)| *remote != from) {
                // One socket at a time: the peer has moved to another port.
                match lobby.connect(from).and_then(|new| socket::prepare(&new.socket).map(|()| new)) {
                    Ok(connected) => {
                        early.extend(connected.early);
                        if let Some((old, _)) = current.replace((connected.socket, from)) {
                            count_kernel_drops(&old, &self.drops);
                        }
                    }
                    // No descriptor, perhaps: the next request tries again.
                    Err(error) => {
                        tracing::debug!(%error, "make a socket for echo on the control port");
                        self.drops.count(Cause::Send);
                        continue;
                    }
                }
            }
            if let Some((socket, remote)) = current {
                turn = turn.and(self.exchange.turn_early(socket, *remote, &early));
            }
        }
        turn
    }

    fn wait(&self, now: u64) -> io::Result<()> {
        let source = match &self.source {
            Source::Port(socket) | Source::Lobby { current: Some((socket, _)), .. } => {
                Some(PollFd::new(socket, PollFlags::IN))
            }
            Source::Lobby { current: None, .. } => None,
            Source::Tunnel(tunnel, _) => Some(tunnel.poll()),
        };
        let mut watched = [PollFd::new(&*self.bell, PollFlags::IN), PollFd::new(&*self.bell, PollFlags::IN)];
        let count = match source {
            Some(source) => {
                watched[1] = source;
                2
            }
            None => 1,
        };
        let left = self.deadline().map(|(deadline, _)| Duration::from_nanos(deadline.saturating_sub(now)));
        // A time that does not fit is none: then the session's own deadline stops it.
        let timeout = left.and_then(|left| left.try_into().ok());
        match poll(watched.get_mut(..count).unwrap_or_default(), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if watched[0].revents().contains(PollFlags::IN) {
            self.bell.has_woken();
        }
        Ok(())
    }
}

fn count_kernel_drops(socket: &UdpSocket, drops: &Drops) {
    if let Ok(dropped) = sys::dropped_datagrams(socket) {
        drops.add(Cause::Kernel, dropped.into());
    }
}

#[cfg(test)]
mod tests;
