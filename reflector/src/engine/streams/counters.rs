//! What a stream has moved so far, written by its thread and read by anyone.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::iperf::udp::Tally;
use crate::engine::sys;

/// Counters of one stream. Only its own thread writes, so each number is right by itself at any time; together they are
/// exact once the stream has ended.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) bytes: AtomicU64,
    packets: AtomicU64,
    received: AtomicU64,
    lost: AtomicU64,
    out_of_order: AtomicU64,
    duplicates: AtomicU64,
    jitter_ns: AtomicU64,
    restart_jitter: AtomicBool,
    tid: AtomicI32,
    cpu_user_ns: AtomicU64,
    cpu_system_ns: AtomicU64,
    waited_ns: AtomicU64,
    left: AtomicU64,
}

/// All counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Payload moved.
    pub bytes: u64,
    /// UDP: the highest sequence number seen, or datagrams sent. TCP: 0.
    pub packets: u64,
    /// UDP sink: datagrams received, late ones and repeats included.
    pub received: u64,
    /// UDP sink: gaps not filled since.
    pub lost: u64,
    /// UDP sink: datagrams that came after a higher number, repeats included.
    pub out_of_order: u64,
    /// UDP sink: datagrams known to have come before.
    pub duplicates: u64,
    /// UDP sink: smoothed jitter.
    pub jitter: Duration,
}

impl Counters {
    /// Payload moved.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Everything at once.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            bytes: self.bytes(),
            packets: self.packets.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            out_of_order: self.out_of_order.load(Ordering::Relaxed),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            jitter: Duration::from_nanos(self.jitter_ns.load(Ordering::Relaxed)),
        }
    }

    /// Begins the jitter anew with the next datagram, as the end of an omit period asks for. Bytes and packets go on:
    /// whoever omits takes a snapshot and subtracts.
    pub fn restart_jitter(&self) {
        self.restart_jitter.store(true, Ordering::Relaxed);
    }

    /// CPU time of the thread so far, user and system together; zero before it has started.
    pub fn cpu(&self) -> Duration {
        let running = match self.tid.load(Ordering::Acquire) {
            0 => None,
            tid => sys::thread_cpu(tid).ok(),
        };
        running.unwrap_or_else(|| {
            let (user, system) = self.final_cpu();
            user + system
        })
    }

    /// How long the thread was ready and had no core to run on; zero where the kernel does not count it.
    pub fn waited(&self) -> Duration {
        let running = self.tid().and_then(|tid| waited(&format!("/proc/self/task/{tid}/schedstat")));
        running.unwrap_or_else(|| Duration::from_nanos(self.waited_ns.load(Ordering::Acquire)))
    }

    /// User and system time of a thread that has ended, else zeros.
    pub fn final_cpu(&self) -> (Duration, Duration) {
        let read = |value: &AtomicU64| Duration::from_nanos(value.load(Ordering::Acquire));
        (read(&self.cpu_user_ns), read(&self.cpu_system_ns))
    }

    /// Kernel id of the thread while it runs.
    pub fn tid(&self) -> Option<i32> {
        Some(self.tid.load(Ordering::Acquire)).filter(|tid| *tid != 0)
    }

    /// Bytes that had come off the socket and were not read when the thread ended.
    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Acquire)
    }

    pub(super) fn leaves(&self, bytes: usize) {
        self.left.store(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Release);
    }

    pub(super) fn thread_begins(&self) {
        self.tid.store(rustix::thread::gettid().as_raw_pid(), Ordering::Release);
    }

    pub(super) fn thread_ends(&self) {
        let (user, system) = sys::this_thread_cpu();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.cpu_user_ns.store(nanos(user), Ordering::Release);
        self.cpu_system_ns.store(nanos(system), Ordering::Release);
        let waited = waited("/proc/thread-self/schedstat").unwrap_or_default();
        self.waited_ns.store(nanos(waited), Ordering::Release);
        // After it the id may become another thread's.
        self.tid.store(0, Ordering::Release);
    }

    /// The omit period ended since the last call.
    pub(super) fn jitter_restarts(&self) -> bool {
        self.restart_jitter.load(Ordering::Relaxed) && self.restart_jitter.swap(false, Ordering::Relaxed)
    }

    pub(super) fn tallied(&self, tally: &Tally, received: u64) {
        self.packets.store(tally.packets(), Ordering::Relaxed);
        self.received.store(received, Ordering::Relaxed);
        self.lost.store(tally.lost(), Ordering::Relaxed);
        self.out_of_order.store(tally.out_of_order(), Ordering::Relaxed);
        self.duplicates.store(tally.duplicates(), Ordering::Relaxed);
        let jitter = Duration::try_from_secs_f64(tally.jitter()).unwrap_or(Duration::MAX);
        self.jitter_ns.store(u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn sent_datagrams(&self, count: u64) {
        self.packets.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn moved(&self, bytes: usize) {
        // Not contended: one writer.
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The second of the scheduler's three numbers about a thread.
fn waited(schedstat: &str) -> Option<Duration> {
    let text = std::fs::read_to_string(schedstat).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}
