//! Echo of 64 bytes: our server as an appliance finds it, and a plain tokio loop. The same client asks both.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::appliance::{Connection, Test};

use super::ours::Reflector;
use super::process::Running;
use super::{Contender, Place, Sample, peer};

const LENGTH: usize = 64;
/// Datagrams sent at once, every [`TICK`]: 50 000 a second, half of what policy can allow.
const BURST: u64 = 50;
const TICK: Duration = Duration::from_millis(1);
/// A datagram that is not back by then is lost, and another takes its place.
const LOST: Duration = Duration::from_millis(20);

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    Paced,
    OneByOne,
}

/// Our server.
pub(crate) struct Ours {
    reflector: Reflector,
    control: Connection,
    load: Load,
}

impl Ours {
    pub(crate) fn new(place: &Place, load: Load) -> Result<Self> {
        let reflector = Reflector::start(place, "")?;
        let control = reflector.appliance()?;
        Ok(Self { reflector, control, load })
    }
}

impl Contender for Ours {
    fn run(&mut self, seconds: u32) -> Result<Sample> {
        let test = Test::echo(u64::from(seconds) + 5);
        let grant = self.reflector.runtime.block_on(self.control.request(&test))?.granted()?;
        let sample = ask(grant.data_addr(), self.load, seconds, &self.reflector.process)?;
        self.reflector.runtime.block_on(self.control.close_session(&grant.test_id))?;
        Ok(sample)
    }
}

/// The loop everybody writes first.
pub(crate) struct Loop {
    process: Running,
    address: SocketAddr,
    load: Load,
}

impl Loop {
    pub(crate) fn new(_place: &Place, load: Load) -> Result<Self> {
        let (process, address) = peer::start("echo", &[])?;
        Ok(Self { process, address, load })
    }
}

impl Contender for Loop {
    fn run(&mut self, seconds: u32) -> Result<Sample> {
        ask(self.address, self.load, seconds, &self.process)
    }
}

fn ask(server: SocketAddr, load: Load, seconds: u32, process: &Running) -> Result<Sample> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(LOST))?;
    let burst = if load == Load::Paced { BURST } else { 1 };
    let mut buffer = [0_u8; LENGTH];
    let mut trips: Vec<f64> = Vec::new();
    let mut answered = 0_u64;
    let before = process.cpu_seconds()?;
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds.into());
    while Instant::now() < until {
        let asked = Instant::now();
        for _ in 0..burst {
            socket.send(&buffer)?;
        }
        for _ in 0..burst {
            // One that is late counts for the next burst, or is lost.
            match socket.recv(&mut buffer) {
                Ok(length) => answered += u64::from(length == LENGTH),
                Err(_) => break,
            }
        }
        match load {
            Load::OneByOne => trips.push(asked.elapsed().as_secs_f64() * 1e6),
            Load::Paced => std::thread::sleep(TICK.saturating_sub(asked.elapsed())),
        }
    }
    let took = began.elapsed().as_secs_f64();
    let cpu = process.cpu_seconds()? - before;
    ensure!(answered > 0, "no echo came back");
    trips.sort_by(f64::total_cmp);
    Ok(Sample {
        rate: Some(answered as f64 / took / 1e3),
        cpu: Some(cpu / (answered as f64 / 1e6)),
        delay: trips.get(trips.len() / 2).copied(),
        ..Sample::default()
    })
}
