//! Looks at the streams of a running session, ten times a second, and at the host when it begins and ends.
#![expect(clippy::disallowed_methods, reason = "samples are taken in real time")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::getsockname;
use socket2::SockRef;

use crate::engine::streams::{Counters, Stream};
use crate::engine::sys;

use super::read::{Host, Moment};
use super::tcp::{SAMPLE_INTERVAL_MS, Series, TcpState};
use super::thermal::Felt;
use super::{Evidence, cpu, nic, thermal};

/// Sensors are asked once a second: a Raspberry Pi's firmware takes a millisecond to answer.
const FEEL_EVERY_TICKS: u32 = 10;

/// A stream to look at.
#[derive(Debug)]
pub struct Watch {
    id: u32,
    /// Of a stream that we send.
    socket: Option<OwnedFd>,
    counters: Arc<Counters>,
    local: Option<IpAddr>,
}

impl Watch {
    /// Looks at `stream`, which both ends know as `id`. Only a sender's `TCP_INFO` says what held it, so of a receiving
    /// stream only the thread is looked at.
    pub fn new(id: u32, stream: &Stream, sends: bool) -> io::Result<Self> {
        let socket = if sends { Some(stream.socket().try_clone_to_owned()?) } else { None };
        // One in a network namespace of its own, or gone already, says nothing.
        let local = getsockname(stream.socket()).ok().and_then(|at| SocketAddr::try_from(at).ok());
        Ok(Self { id, socket, counters: Arc::clone(stream.counters()), local: local.map(|at| at.ip()) })
    }
}

/// One thread for as long as a session runs. Holds a second descriptor of each sending stream's socket, so it has to be
/// finished, or dropped, before that connection is to be gone.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    host: Host,
    began: Instant,
    begin: Moment,
    /// Each thread, and what it had done when we began.
    threads: Vec<(Arc<Counters>, cpu::Thread)>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stop: Condvar,
}

#[derive(Debug)]
struct State {
    stopped: bool,
    series: Vec<(u32, OwnedFd, Series)>,
    felt: Felt,
}

impl Sampler {
    /// Begins; to be called when the streams are started. `local_addr` is where their connections leave from; if it is
    /// not known, the streams are asked.
    pub fn start(local_addr: Option<IpAddr>, watches: Vec<Watch>) -> io::Result<Self> {
        let host = Host::of(local_addr.or_else(|| watches.iter().find_map(|watch| watch.local)));
        let threads =
            watches.iter().map(|watch| (Arc::clone(&watch.counters), done(&watch.counters))).collect();
        let senders: Vec<(u32, OwnedFd)> =
            watches.into_iter().filter_map(|watch| Some((watch.id, watch.socket?))).collect();
        let count = senders.len();
        let series = senders.into_iter().map(|(id, socket)| (id, socket, Series::new(count))).collect();
        let begin = host.now();
        let state = State { stopped: false, series, felt: begin.thermal };
        let shared = Arc::new(Shared { state: Mutex::new(state), stop: Condvar::new() });
        let now = Instant::now();
        let for_thread = (Arc::clone(&shared), Host::of(None));
        let thread = std::thread::Builder::new()
            .name("evidence".to_owned())
            .spawn(move || look(&for_thread.0, &for_thread.1, now))?;
        Ok(Self { shared, thread: Some(thread), host, began: now, begin, threads })
    }

    /// The newest round-trip time, mean of all streams; for a bar on the screen.
    pub fn rtt(&self) -> Option<Duration> {
        let state = self.shared.lock();
        let rtts: Vec<u64> =
            state.series.iter().filter_map(|(_, _, series)| series.rtt_us()).map(u64::from).collect();
        let count = u64::try_from(rtts.len()).ok().filter(|count| *count > 0)?;
        Some(Duration::from_micros(rtts.iter().sum::<u64>() / count))
    }

    /// Ends, and says what was seen. To be called when the streams have stopped and while their sockets are open; takes a
    /// few milliseconds.
    pub fn finish(mut self) -> Evidence {
        self.stop();
        let end = self.host.now();
        let elapsed = self.began.elapsed();
        let (series, felt) = {
            let mut state = self.shared.lock();
            (std::mem::take(&mut state.series), state.felt.and(end.thermal))
        };
        let since = |(counters, before): &(Arc<Counters>, cpu::Thread)| {
            let now = done(counters);
            cpu::Thread {
                ran: now.ran.saturating_sub(before.ran),
                waited: now.waited.saturating_sub(before.waited),
            }
        };
        let used: Vec<cpu::Thread> = self.threads.iter().map(since).collect();
        let mut carried_by = self.host.nic().unwrap_or_default();
        nic::add_between(&mut carried_by, self.begin.nic, end.nic);
        Evidence {
            tcp_info: series
                .into_iter()
                .filter_map(|(id, socket, series)| series.finish(id, congestion(&socket)))
                .collect(),
            cpu: Some(cpu::between(&self.begin.cpu, &end.cpu, elapsed, &used)),
            nic: Some(carried_by),
            thermal: thermal::between(self.begin.thermal, felt),
            clock: self.host.clock(),
        }
    }

    fn stop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.stop.notify_all();
        if let Some(thread) = self.thread.take() {
            // A sampler that panicked has told the log; what it saw until then stands.
            let _ = thread.join();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a thread has done so far.
fn done(counters: &Counters) -> cpu::Thread {
    cpu::Thread { ran: counters.cpu(), waited: counters.waited() }
}

/// What sets the pace of a connection.
fn congestion(socket: &OwnedFd) -> Option<String> {
    let name = SockRef::from(socket).tcp_congestion().ok()?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The thread: one look per tick, and a last one when it is stopped.
fn look(shared: &Shared, host: &Host, began: Instant) {
    let interval = Duration::from_millis(SAMPLE_INTERVAL_MS.into());
    let mut next = Duration::ZERO;
    for tick in 1u32.. {
        let felt = if tick.is_multiple_of(FEEL_EVERY_TICKS) { Some(host.felt()) } else { None };
        let mut state = shared.lock();
        if let Some(felt) = felt {
            state.felt = state.felt.and(felt);
        }
        let at_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
        for (_, socket, series) in &mut state.series {
            // Fails for datagrams and for a connection that is gone: what was seen before stands.
            if let Ok(info) = sys::tcp_info(&*socket) {
                series.push(TcpState::new(at_ms, &info));
            }
        }
        if state.stopped {
            return;
        }
        // Ticks that were missed are not made up for.
        next = (next + interval).max(began.elapsed());
        let wait = next.saturating_sub(began.elapsed());
        drop(shared.stop.wait_timeout_while(state, wait, |state| !state.stopped));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;
    use crate::engine::purse::Unlimited;
    use crate::engine::streams::{Streams, TcpSink, TcpSource};

    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    /// Two streams between two ends of this host, running.
    fn running() -> (Streams, Streams) {
        let mut sources = Streams::new(Arc::new(Unlimited));
        let mut sinks = Streams::new(Arc::new(Unlimited));
        for _ in 0..2 {
            let (client, server) = connection();
            sources.tcp_source("source", client.into(), TcpSource::default()).unwrap();
            sinks.tcp_sink("sink", server.into(), TcpSink::default()).unwrap();
        }
        sinks.start();
        sources.start();
        (sources, sinks)
    }

    fn watch(streams: &Streams, sends: bool) -> Sampler {
        let ids = [1, 3].into_iter().zip(streams.iter());
        let watches = ids.map(|(id, stream)| Watch::new(id, stream, sends).unwrap()).collect();
        Sampler::start(None, watches).unwrap()
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// H7, E10
    #[tokio::test]
    async fn a_running_test_is_seen_from_its_sockets_and_its_host() {
        let (sources, sinks) = running();
        let sampler = watch(&sources, true);
        let taken = || {
            sampler.shared.lock().series[1].2.clone().finish(3, None).map_or(0, |stream| stream.samples.len())
        };
        until("five samples", || taken() >= 5);
        assert!(sampler.rtt().is_some());
        sources.freeze();
        sources.all_ended().await;
        let evidence = sampler.finish();
        drop(sinks);

        let ids: Vec<u32> = evidence.tcp_info.iter().map(|stream| stream.id).collect();
        assert_eq!(ids, [1, 3]);
        for stream in &evidence.tcp_info {
            let tcp = &stream.summary;
            assert!(tcp.rtt_us.is_some() && tcp.min_rtt_us.is_some() && tcp.cwnd_bytes > Some(0), "{tcp:?}");
            assert!(
                tcp.segments > Some(0) && tcp.busy_ms.is_some() && tcp.snd_wnd_bytes > Some(0),
                "{tcp:?}"
            );
            let at: Vec<u32> = stream.samples.iter().map(|sample| sample.at_ms).collect();
            assert!(at.is_sorted(), "{at:?}");
        }
        let cpu = evidence.cpu.unwrap();
        assert!(cpu.cores > Some(0) && cpu.process_s.unwrap().value() > 0.0, "{cpu:?}");
        assert!(cpu.busiest_thread_percent.unwrap().value() > 0.0, "{cpu:?}");
        let nic = evidence.nic.unwrap();
        assert_eq!((nic.interface.as_deref(), nic.speed_mbps), (Some("lo"), None));
        assert!(nic.mtu_bytes > Some(1500) && nic.udp_receive_buffer_drops.is_some(), "{nic:?}");
        assert!(evidence.clock.is_some());
    }

    /// Whoever receives knows nothing of the sender's window.
    #[tokio::test]
    async fn of_a_receiver_only_threads_and_host_are_seen() {
        let (sources, sinks) = running();
        let sampler = watch(&sinks, false);
        let sink = sinks.iter().next().unwrap();
        until("some data", || sink.counters().bytes() > 10_000_000);
        assert_eq!(sampler.rtt(), None);
        drop(sources);
        let evidence = sampler.finish();
        assert!(evidence.tcp_info.is_empty());
        assert!(evidence.cpu.unwrap().busiest_thread_percent.unwrap().value() > 0.0);
    }

    /// Nothing outlives the session: the thread is joined and the second descriptors are closed, so the peer sees the end.
    #[tokio::test]
    async fn a_sampler_that_is_dropped_holds_no_connection() {
        let (sources, sinks) = running();
        let sampler = watch(&sources, true);
        let shared = Arc::downgrade(&sampler.shared);
        drop(sampler);
        assert_eq!(shared.strong_count(), 0);
        drop(sources);
        tokio::time::timeout(Duration::from_secs(20), sinks.all_ended()).await.expect("sinks see the end");
    }
}
