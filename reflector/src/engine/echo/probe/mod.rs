//! The client's echo: asks at a steady rate from a thread of its own and keeps account, phase by phase.
//!
//! One probe serves a whole session, because its requests have one row of numbers: idle first, then loaded.

mod asking;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use self::asking::Asking;
use super::bell::Bell;
use super::tally::{Base, Report, Tally};
use super::tunnelled::Tunnelled;
use super::wire::Keys;
use super::{moment, socket};

/// Requests a second while latency is measured beside other things.
pub const USUAL_PPS: u32 = 100;

/// Where requests go.
pub enum Target {
    /// The granted port, direct.
    Direct(UdpSocket),
    /// Through a tunnel: its loss and times are never the path's.
    Tunnel(Box<Tunnelled>),
}

impl Target {
    /// A socket to this port, from any address of ours that reaches it.
    pub fn direct(server: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        Ok(Self::Direct(socket))
    }
}

/// How to ask.
pub struct Settings {
    /// With these keys the server tells what it received; without, it only returns what it got.
    pub keys: Option<Keys>,
    /// Requests a second; no more than the grant allows.
    pub pps: u32,
    /// Bytes of a request, 64 to 8972.
    pub length: usize,
}

/// A phase while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Snapshot {
    /// Which phase: 1 is the first.
    pub phase: usize,
    /// Requests sent.
    pub sent: u64,
    /// Answered in time.
    pub received: u64,
    /// The newest round trip.
    pub now_us: Option<f64>,
    /// The middle one so far.
    pub p50_us: Option<f64>,
}

/// A running probe. Dropped, it stops without waiting for what is on its way.
#[derive(Debug)]
pub struct Probe {
    shared: Arc<Shared>,
    done: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    bell: Arc<Bell>,
    /// Phases asked for.
    phases: AtomicUsize,
    /// Nothing more is sent; what is on its way is waited for.
    draining: AtomicBool,
    tallies: Mutex<Vec<Tally>>,
}

impl Shared {
    fn tallies(&self) -> MutexGuard<'_, Vec<Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe {
    /// Starts asking. The first phase begins now.
    pub fn start(target: Target, settings: Settings) -> io::Result<Self> {
        if let Target::Direct(direct) = &target {
            socket::prepare(direct)?;
        }
        let first = Tally::new(Base::default(), moment::steady());
        let shared = Arc::new(Shared {
            bell: Bell::new()?,
            phases: AtomicUsize::new(1),
            draining: AtomicBool::new(false),
            tallies: Mutex::new(vec![first]),
        });
        let (report, done) = oneshot::channel();
        let asking = Asking::new(target, settings, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("probe".to_owned()).spawn(move || {
            if let Err(error) = asking.run() {
                tracing::debug!(%error, "probe by echo");
            }
            // Nobody waits any more: then nobody needs to know.
            let _ = report.send(());
        })?;
        Ok(Self { shared, done, thread: Some(thread) })
    }

    /// Begins another phase.
    pub fn next_phase(&self) {
        self.shared.phases.fetch_add(1, Ordering::AcqRel);
        self.shared.bell.ring();
    }

    /// How the newest phase is doing.
    pub fn snapshot(&self) -> Snapshot {
        let tallies = self.shared.tallies();
        let Some(tally) = tallies.last() else { return Snapshot::default() };
        let (sent, received) = tally.counts();
        let (now_us, p50_us) = (tally.trips().last_us(), tally.trips().median_us());
        Snapshot { phase: tallies.len(), sent, received, now_us, p50_us }
    }

    fn reports(&self) -> Vec<Report> {
        self.shared.tallies().iter().map(Tally::report).collect()
    }

    /// Stops asking, waits for what is on its way (two seconds at most), and reports each phase in order.
    pub async fn finish(mut self) -> Vec<Report> {
        self.shared.draining.store(true, Ordering::Release);
        self.shared.bell.ring();
        // An error: the thread is gone already, and what it found is here.
        let _ = (&mut self.done).await;
        self.reports()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.shared.bell.stop();
        if let Some(thread) = self.thread.take() {
            // It never waits for anything but its descriptors and the bell.
            let _ = thread.join();
        }
    }
}
