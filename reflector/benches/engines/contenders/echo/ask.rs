//! The client of every echo row. Whoever answers, it asks the same way, so that only servers differ.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reflector::engine::echo::wire::{self, Keys, Request};
use reflector::engine::sys;

use super::super::Sample;
use super::super::process::Running;

const LENGTH: usize = 64;
/// Datagrams sent at once, every [`TICK`]: 50 000 a second, half of what policy can allow.
const BURST: usize = 50;
const TICK: Duration = Duration::from_millis(1);
/// A datagram that is not back by then is lost, and another takes its place.
const LOST: Duration = Duration::from_millis(20);
/// Datagrams that go out in one call when it is to go fast, so that asking costs less than answering.
const TRAIN: usize = 64;
/// Datagrams on their way at most then: one train is served while the next one waits. More would not fit the queue that
/// a socket has by default.
const WINDOW: usize = 2 * TRAIN;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    Paced,
    OneByOne,
    FlatOut,
}

/// Asks for so many seconds. The CPU time is that of the server, to the nanosecond.
pub(crate) fn ask(
    server: SocketAddr,
    load: Load,
    seconds: u32,
    keys: Option<&Keys>,
    process: &Running,
) -> Result<Sample> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    let mut asking = Asking::new(socket, keys);
    let before = process.cpu_time()?;
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds.into());
    match load {
        Load::Paced => asking.paced(until)?,
        Load::OneByOne => asking.one_by_one(until)?,
        Load::FlatOut => asking.flat_out(until)?,
    }
    let took = began.elapsed().as_secs_f64();
    let cpu = process.cpu_time()? - before;
    let Asking { answered, mut trips, .. } = asking;
    ensure!(answered > 0, "no echo came back");
    trips.sort_by(f64::total_cmp);
    Ok(Sample {
        rate: Some(answered as f64 / took / 1e3),
        cpu: Some(cpu / (answered as f64 / 1e6)),
        delay: trips.get(trips.len() / 2).copied(),
        received: Some(answered * LENGTH as u64),
        ..Sample::default()
    })
}

struct Asking<'k> {
    socket: UdpSocket,
    keys: Option<&'k Keys>,
    number: u64,
    requests: Vec<[u8; LENGTH]>,
    answers: Vec<[u8; LENGTH]>,
    answered: u64,
    /// Microseconds.
    trips: Vec<f64>,
}

impl<'k> Asking<'k> {
    fn new(socket: UdpSocket, keys: Option<&'k Keys>) -> Self {
        let (requests, answers) = (Vec::new(), Vec::new());
        Self { socket, keys, number: 0, requests, answers, answered: 0, trips: Vec::new() }
    }

    fn paced(&mut self, until: Instant) -> Result<()> {
        self.socket.set_read_timeout(Some(LOST))?;
        let mut next = Instant::now();
        while next < until {
            self.prepare(BURST);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            self.exchange()?;
            self.judge()?;
            // What was missed is not made up for: a policy would call it a burst.
            next = (next + TICK).max(Instant::now());
        }
        Ok(())
    }

    fn one_by_one(&mut self, until: Instant) -> Result<()> {
        self.socket.set_read_timeout(Some(LOST))?;
        while Instant::now() < until {
            self.prepare(1);
            let asked = Instant::now();
            self.exchange()?;
            self.trips.push(asked.elapsed().as_secs_f64() * 1e6);
            self.judge()?;
        }
        Ok(())
    }

    /// Never sleeps, so that no server has to wake it, and always has something waiting there.
    fn flat_out(&mut self, until: Instant) -> Result<()> {
        ensure!(self.keys.is_none(), "trains have no keys");
        sys::segment_datagrams(&self.socket, u16::try_from(LENGTH)?)?;
        self.socket.set_nonblocking(true)?;
        let train = [0; LENGTH * TRAIN];
        let mut batch = sys::Batch::new(TRAIN, LENGTH);
        let (mut on_way, mut heard) = (0, Instant::now());
        loop {
            if on_way + TRAIN <= WINDOW {
                self.socket.send(&train)?;
                on_way += TRAIN;
            }
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            match batch.receive(&self.socket, TRAIN) {
                Ok(count) => {
                    ensure!(
                        batch.iter().all(|answer| answer.length == LENGTH),
                        "an answer of another length"
                    );
                    self.answered += count as u64;
                    on_way = on_way.saturating_sub(count);
                    heard = now;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if now - heard > LOST {
                        (on_way, heard) = (0, now);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Requests are sealed before their time comes: what that costs must not spread the burst.
    fn prepare(&mut self, count: usize) {
        self.requests.resize(count, [0; LENGTH]);
        let Some(keys) = self.keys else { return };
        for request in &mut self.requests {
            self.number += 1;
            wire::write_request(request, keys, Request { seq: self.number, t1: 0 });
        }
    }

    fn exchange(&mut self) -> Result<()> {
        for request in &self.requests {
            self.socket.send(request)?;
        }
        self.answers.clear();
        for _ in 0..self.requests.len() {
            let mut answer = [0; LENGTH];
            // One that is late counts for the next burst, or is lost.
            let Ok(LENGTH) = self.socket.recv(&mut answer) else { break };
            self.answers.push(answer);
        }
        Ok(())
    }

    /// After the burst, as sealing before it.
    fn judge(&mut self) -> Result<()> {
        if let Some(keys) = self.keys {
            let real = self.answers.iter().all(|answer| wire::read_reply(answer, keys).is_ok());
            ensure!(real, "an answer without the key of the link");
        }
        self.answered += self.answers.len() as u64;
        Ok(())
    }
}
