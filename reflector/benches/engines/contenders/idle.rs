//! Memory of 64 tests that are granted and not begun.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use e2e::appliance::Test;

use super::ours::Reflector;
use super::process::{Running, free_port};
use super::{Contender, Place, Sample};

const SESSIONS: usize = 64;

/// One process for all of them.
pub(crate) struct Ours {
    reflector: Reflector,
}

impl Ours {
    pub(crate) fn new(place: &Place) -> Result<Self> {
        // A port for each: on the control port one test of an address is at home at a time.
        let ports = "data_port_range_start = 24100\ndata_port_range_end = 24900";
        Ok(Self { reflector: Reflector::start(place, ports)? })
    }
}

impl Contender for Ours {
    fn run(&mut self, _seconds: u32) -> Result<Sample> {
        // Eight connections are the most an identity may have; a connection may hold more than one session.
        let mut controls = Vec::new();
        for _ in 0..8 {
            controls.push(self.reflector.appliance()?);
        }
        let mut grants = Vec::new();
        for number in 0..SESSIONS {
            let control = &mut controls[number % 8];
            let test = Test::throughput(10).streams(1);
            grants.push(self.reflector.runtime.block_on(control.request(&test))?.granted()?);
        }
        let memory = pss_mib(self.reflector.process.pid())?;
        for (number, grant) in grants.iter().enumerate() {
            let control = &mut controls[number % 8];
            self.reflector.runtime.block_on(control.close_session(&grant.test_id))?;
        }
        Ok(Sample { memory: Some(memory), ..Sample::default() })
    }
}

/// As many servers.
pub(crate) struct Stock {
    servers: Vec<Running>,
}

impl Stock {
    pub(crate) fn new(place: &Place) -> Result<Self> {
        let program = place.iperf("3.12")?;
        let mut servers = Vec::new();
        for _ in 0..SESSIONS {
            let port = free_port()?.port();
            let mut command = Command::new(program);
            command.args(["-s", "-p"]).arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut server = Running::start(&mut command)?;
            server.listening(port)?;
            servers.push(server);
        }
        Ok(Self { servers })
    }
}

impl Contender for Stock {
    fn run(&mut self, _seconds: u32) -> Result<Sample> {
        let each = self.servers.iter().map(|server| pss_mib(server.pid()));
        Ok(Sample { memory: Some(each.sum::<Result<f64>>()?), ..Sample::default() })
    }
}

/// The kernel's fair share of what is shared, and all that is not.
fn pss_mib(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
