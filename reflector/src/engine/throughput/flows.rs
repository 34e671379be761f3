//! The streams of one test while they run, and what they have moved.
//!
//! Wraps the threads with what an iperf3 server has to know of them: which way each goes, what was moved before the
//! omitted time was over, how long the client has been silent. Dropping it ends threads and sockets and charges what the
//! kernel still held.

use std::io;
use std::net::{IpAddr, Shutdown, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::time::Instant;

use crate::engine::evidence::{Evidence, Sampler, Watch};
use crate::engine::iperf::stream_id;
use crate::engine::purse::Purse;
use crate::engine::streams::{
    Counters, DatagramLink, End, Link, Pace, Snapshot, Streams, TcpSink, TcpSource, UdpSink, UdpSource,
};
use crate::engine::sys;
use crate::engine::tunnel::hello::Kind;
use crate::reason::EndReason;
use crate::session::Meter;

use super::arrivals::{Connection, Place};
use super::budget::Budget;
use super::plan::{Direction, Plan};

/// Probes of an idle connection while a test runs: a living client is never silent for longer.
const KEEPALIVE: Duration = Duration::from_secs(1);

/// The kernel gives up by itself after this: only the backstop of the session's own, faster check.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// A sender above this is taken in trains: one stamp for each costs the jitter little then, and single datagrams cost
/// more than they are worth.
const TRAINS_ABOVE: u64 = 2_000_000_000;

/// Open sockets of all streams, in the order they were opened.
pub(super) enum Sockets {
    Tcp(Vec<Connection>),
    Udp(Vec<UdpSocket>),
}

/// What one stream has moved after the omitted time.
#[derive(Debug, Clone, Default)]
pub(super) struct Moved {
    pub(super) direction: Option<Direction>,
    pub(super) bytes: u64,
    pub(super) retransmits: Option<u64>,
    /// Cumulative, as everything about packets.
    pub(super) packets: Snapshot,
    /// At the end of the omitted time.
    pub(super) before: Snapshot,
}

/// All streams of a test.
pub(super) struct Flows {
    streams: Streams,
    directions: Vec<Direction>,
    is_udp: bool,
    meter: Meter,
    budget: Arc<Budget>,
    before: Vec<(Snapshot, u64)>,
    silence: Arc<Silence>,
    sampler: Option<Sampler>,
    /// Given back with the sockets.
    _places: Vec<Place>,
}

impl Flows {
    /// Threads for these sockets. They wait for [`Self::start`].
    pub(super) fn new(plan: &Plan, sockets: Sockets, control: OwnedFd, meter: Meter) -> io::Result<Self> {
        let budget = Arc::new(Budget::new(meter.clone(), plan.directions.len()));
        let mut streams = Streams::new(Arc::clone(&budget) as Arc<dyn Purse>);
        let mut places = Vec::new();
        let mut silence = Silence { sockets: vec![control], ..Silence::default() };
        let is_udp = plan.is_udp();
        match sockets {
            Sockets::Tcp(connections) => {
                for (at, (connection, direction)) in connections.into_iter().zip(&plan.directions).enumerate()
                {
                    places.extend(connection.place);
                    let socket = connection.stream.as_fd();
                    silence.sockets.push(socket.try_clone_to_owned()?);
                    streams.lease_from(match direction {
                        Direction::Receive => budget.sink(socket.try_clone_to_owned()?, plan.window),
                        Direction::Send => Arc::clone(&budget) as Arc<dyn Purse>,
                    });
                    if connection.kind == Kind::Udp {
                        add_udp(&mut streams, at, *direction, connection.stream.into_datagrams()?, plan)?;
                    } else {
                        add_tcp(&mut streams, at, *direction, connection.stream.into_link()?, plan)?;
                    }
                }
            }
            Sockets::Udp(sockets) => {
                for (at, (socket, direction)) in sockets.into_iter().zip(&plan.directions).enumerate() {
                    add_udp(&mut streams, at, *direction, DatagramLink::Udp(socket), plan)?;
                }
                silence.counters = streams.iter().map(|stream| Arc::clone(stream.counters())).collect();
            }
        }
        let directions = plan.directions.clone();
        let silence = Arc::new(silence);
        Ok(Self {
            streams,
            directions,
            is_udp,
            meter,
            budget,
            before: Vec::new(),
            silence,
            sampler: None,
            _places: places,
        })
    }

    /// Lets them go, and looks at them and this host until [`Self::evidence`] is asked for.
    pub(super) fn start(&mut self, local: IpAddr) {
        let streams = self.streams.iter().zip(&self.directions).zip((0..).map(stream_id));
        let watches = streams
            .map(|((stream, direction), id)| Watch::new(id, stream, *direction == Direction::Send))
            .collect::<io::Result<Vec<_>>>();
        self.sampler = watches
            .and_then(|watches| Sampler::start(Some(local), watches))
            .inspect_err(|error| tracing::warn!(%error, "sample the streams of a test"))
            .ok();
        self.streams.start();
    }

    /// What was seen meanwhile; once, when the streams are frozen.
    pub(super) fn evidence(&mut self) -> Evidence {
        self.sampler.take().map(Sampler::finish).unwrap_or_default()
    }

    /// The omitted time is over: what is reported begins here.
    pub(super) fn omit_ends(&mut self) {
        let at_once = self.streams.iter().map(|stream| {
            stream.counters().restart_jitter();
            (stream.counters().snapshot(), retransmits(stream.socket()).unwrap_or(0))
        });
        self.before = at_once.collect();
    }

    /// No stream makes another system call and the counters are final. Sockets stay open.
    pub(super) async fn freeze(&self) {
        self.budget.close();
        self.streams.freeze();
        self.streams.all_ended().await;
    }

    /// Says on every stream we sent on that nothing more comes. A stock client that has ended its test waits for it in a
    /// blocking read of a whole block, and answers nothing before.
    pub(super) fn finish_sending(&self) {
        let streams = self.streams.iter().zip(&self.directions).filter(|_| !self.is_udp);
        for (stream, _) in streams.filter(|(_, direction)| **direction == Direction::Send) {
            // Fails when the client has hung up, which it may.
            let _ = SockRef::from(&stream.socket()).shutdown(Shutdown::Write);
        }
    }

    /// Why streams ended that nobody told to: a budget too small for one more datagram, or a bug of ours.
    pub(super) fn trouble(&self) -> Option<EndReason> {
        if self.streams.ended() == 0 {
            return None;
        }
        self.streams.iter().find_map(|stream| match stream.end()? {
            End::NoBudget => Some(EndReason::QuotaExceeded),
            End::Panicked => Some(EndReason::Internal),
            _ => None,
        })
    }

    /// Bytes so far in one direction, the omitted ones included.
    pub(super) fn bytes(&self, wanted: Direction) -> u64 {
        let streams = self.streams.iter().zip(&self.directions);
        streams
            .filter(|(_, direction)| **direction == wanted)
            .map(|(stream, _)| stream.counters().bytes())
            .sum()
    }

    /// Per stream.
    pub(super) fn moved(&self) -> Vec<Moved> {
        let streams = self.streams.iter().zip(&self.directions).enumerate();
        let each = streams.map(|(at, (stream, direction))| {
            let (before, segments_before) = self.before.get(at).copied().unwrap_or_default();
            let packets = stream.counters().snapshot();
            let sends_tcp = *direction == Direction::Send && !self.is_udp;
            let segments = if sends_tcp { retransmits(stream.socket()) } else { None };
            Moved {
                direction: Some(*direction),
                bytes: packets.bytes.saturating_sub(before.bytes),
                retransmits: segments.map(|segments| segments.saturating_sub(segments_before)),
                packets,
                before,
            }
        });
        each.collect()
    }

    /// User and system time of all threads; final once they have ended.
    pub(super) fn cpu(&self) -> (Duration, Duration) {
        self.streams.iter().fold((Duration::ZERO, Duration::ZERO), |(user, system), stream| {
            let (more_user, more_system) = stream.counters().final_cpu();
            (user + more_user, system + more_system)
        })
    }

    /// Congestion control of the TCP streams.
    pub(super) fn congestion(&self) -> Option<String> {
        let stream = self.streams.iter().next().filter(|_| !self.is_udp)?;
        let name = SockRef::from(&stream.socket()).tcp_congestion().ok()?;
        let name = name.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// For how long nothing was received or acknowledged, for as long as this lives.
    pub(super) fn silence(&self) -> impl Fn() -> Duration + Send + Sync + 'static {
        let silence: Weak<Silence> = Arc::downgrade(&self.silence);
        move || silence.upgrade().map_or(Duration::MAX, |silence| silence.now())
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        // It holds descriptors of the sockets that are to be reset.
        self.sampler = None;
        if self.streams.ended() < self.directions.len() {
            // Dropped in the middle: nobody waits for threads in here.
            self.streams.shutdown();
        }
        let sinks = self.streams.iter().zip(&self.directions);
        let sinks = sinks.filter(|(_, direction)| **direction == Direction::Receive);
        // It has crossed the network and was paid for, although nobody will read it. Datagrams for which the kernel had
        // no room are lost like any others, and as free.
        let unread: u64 = sinks.map(|(stream, _)| stream.unread()).sum();
        if unread > 0 {
            self.meter.charge_unread(unread);
        }
    }
}

/// Signs of life of the client.
#[derive(Default)]
struct Silence {
    sockets: Vec<OwnedFd>,
    counters: Vec<Arc<Counters>>,
    moved: Mutex<Option<(u64, Instant)>>,
}

impl Silence {
    fn now(&self) -> Duration {
        // A socket that cannot be asked is not evidence of death.
        let asked = self
            .sockets
            .iter()
            .map(|socket| sys::tcp_info(socket).map_or(Duration::ZERO, |info| info.silence()));
        asked.chain(self.datagrams()).min().unwrap_or_default()
    }

    fn datagrams(&self) -> Option<Duration> {
        if self.counters.is_empty() {
            return None;
        }
        let received = self.counters.iter().map(|counters| counters.snapshot().received).sum();
        let now = Instant::now();
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, at) = moved.unwrap_or((0, now));
        let at = if received == before { at } else { now };
        *moved = Some((received, at));
        Some(now.duration_since(at))
    }
}

fn add_tcp(
    streams: &mut Streams,
    at: usize,
    direction: Direction,
    link: Link,
    plan: &Plan,
) -> io::Result<()> {
    match direction {
        Direction::Receive => streams.tcp_sink(&name("rx", at), link, TcpSink::default())?,
        Direction::Send => streams.tcp_source(&name("tx", at), link, tcp_source(plan))?,
    };
    Ok(())
}

fn tcp_source(plan: &Plan) -> TcpSource {
    let asked = &plan.parameters;
    let senders = plan.directions.iter().filter(|direction| **direction == Direction::Send).count();
    TcpSource {
        block: plan.exact_length.then(|| usize::try_from(asked.length).unwrap_or(usize::MAX)),
        pace: pace(plan),
        fq_rate: Some(asked.fair_queue_rate).filter(|rate| *rate > 0),
        // A receiver that copies is slower with pages by reference from two streams on.
        by_reference: asked.discards || senders == 1,
    }
}

fn add_udp(
    streams: &mut Streams,
    at: usize,
    direction: Direction,
    link: DatagramLink,
    plan: &Plan,
) -> io::Result<()> {
    let asked = &plan.parameters;
    let length = usize::try_from(asked.length).unwrap_or(usize::MAX);
    let wide = asked.wide_counters;
    match direction {
        Direction::Receive => {
            let trains = asked.bandwidth == 0 || asked.bandwidth > TRAINS_ABOVE;
            let buffer = usize::try_from(plan.window).ok().filter(|bytes| *bytes > 0);
            streams.udp_sink(&name("rx", at), link, UdpSink { length, wide, trains, buffer })?
        }
        Direction::Send => {
            streams.udp_source(&name("tx", at), link, UdpSource { length, wide, pace: pace(plan) })?
        }
    };
    Ok(())
}

fn pace(plan: &Plan) -> Option<Pace> {
    plan.send_rate.map(|rate| Pace { bits_per_second: rate, burst: plan.parameters.burst })
}

fn name(way: &str, at: usize) -> String {
    format!("{way}-{}", at + 1)
}

fn retransmits(socket: impl AsFd) -> Option<u64> {
    sys::tcp_info(socket).ok().map(|info| info.retransmitted_segments.into())
}

/// Keeps a connection of a running test from being silent, and the kernel from waiting for ever.
pub(super) fn keep_alive(socket: &SockRef<'_>) {
    let probes = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    let set =
        socket.set_tcp_keepalive(&probes).and_then(|()| socket.set_tcp_user_timeout(Some(USER_TIMEOUT)));
    if let Err(error) = set {
        tracing::debug!(%error, "set keepalive on a connection of a test");
    }
}
