//! Echo of 64 bytes: our server as an appliance finds it, the same with the keys of a link, our engine without a policy,
//! and a plain tokio loop. The same client asks all of them.

mod ask;
pub(crate) mod parts;

use std::net::SocketAddr;

use anyhow::Result;
use e2e::appliance::{Connection, Test};
use reflector::client::Link;
use reflector::engine::echo::wire::Keys;
use reflector::link::message::{SessionParams, TestType};

use super::ours::Reflector;
use super::process::Running;
use super::{Contender, Place, Sample, peer};

pub(crate) use ask::Load;
use ask::ask;

/// A session lasts this much longer than its load.
const SPARE_SECONDS: u64 = 5;

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
        let test = Test::echo(u64::from(seconds) + SPARE_SECONDS);
        let grant = self.reflector.runtime.block_on(self.control.request(&test))?.granted()?;
        let sample = ask(grant.data_addr(), self.load, seconds, None, &self.reflector.process)?;
        self.reflector.runtime.block_on(self.control.close_session(&grant.test_id))?;
        Ok(sample)
    }
}

/// Our server, for a client that shares the keys of its link.
pub(crate) struct Keyed {
    reflector: Reflector,
    link: Link,
    load: Load,
}

impl Keyed {
    pub(crate) fn new(place: &Place, load: Load) -> Result<Self> {
        let reflector = Reflector::start(place, "")?;
        let link = reflector.link()?;
        Ok(Self { reflector, link, load })
    }
}

impl Contender for Keyed {
    fn run(&mut self, seconds: u32) -> Result<Sample> {
        let duration_sec = u64::from(seconds) + SPARE_SECONDS;
        let params = SessionParams { duration_sec, protocol: None, streams: None, reverse: None, mode: None };
        let Reflector { runtime, process, address, .. } = &self.reflector;
        let grant = runtime.block_on(self.link.request(TestType::UdpEcho, params))?;
        let keys = Keys::new(&self.link.secrets(grant.test_id)?.echo, grant.test_id);
        let server = SocketAddr::new(address.ip(), grant.port);
        let sample = ask(server, self.load, seconds, Some(&keys), process)?;
        runtime.block_on(self.link.close_session(grant.test_id))?;
        Ok(sample)
    }
}

/// A server that is nothing but echo; a new one each round.
pub(crate) struct Bare {
    part: &'static str,
    load: Load,
}

impl Bare {
    /// The loop everybody writes first.
    pub(crate) const fn tokio_loop(load: Load) -> Self {
        Self { part: peer::ECHO_LOOP, load }
    }

    /// Our engine without a session and its limits.
    pub(crate) const fn engine(load: Load) -> Self {
        Self { part: peer::ECHO_ENGINE, load }
    }
}

impl Contender for Bare {
    fn run(&mut self, seconds: u32) -> Result<Sample> {
        let (process, address): (Running, SocketAddr) = peer::start(self.part, &[])?;
        ask(address, self.load, seconds, None, &process)
    }
}
