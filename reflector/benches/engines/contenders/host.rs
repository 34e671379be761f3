//! Where servers run: on this host, or on another one at the far end of a veth cable with an MTU of 1500.
//!
//! The far host is a network namespace that lives as long as the process which holds it open, and that one ends with us.

use std::ffi::OsStr;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};

use super::super::machine;
use super::Missing;
use super::process::free_port;

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// Where a server runs, as its client sees it.
#[derive(Clone)]
pub(crate) enum Host {
    Here,
    Far(Rc<Cable>),
}

impl Host {
    /// A program that runs there. The process is that of the program: `nsenter` becomes it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Here => Command::new(program),
            Self::Far(cable) => {
                let mut command = Command::new("nsenter");
                command.arg(cable.network()).arg(program);
                command
            }
        }
    }

    /// An address to listen on. A port that is free here is free there, where hardly anything runs.
    pub(crate) fn free(&self) -> Result<SocketAddr> {
        let here = free_port()?;
        Ok(match self {
            Self::Here => here,
            Self::Far(_) => SocketAddr::new(IpAddr::V4(FAR), here.port()),
        })
    }
}

/// The far host and the cable to it.
pub(crate) struct Cable {
    holder: Child,
}

impl Cable {
    pub(crate) fn plug() -> Result<Self> {
        if !machine::is_in_own_network() {
            return Err(
                Missing("no network of our own to put a cable into: run it as root".to_owned()).into()
            );
        }
        // Ends with its pipe. Says a line once it is in its namespace.
        let mut holder = Command::new("unshare");
        holder.args(["-n", "sh", "-c", "echo; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cable = Self { holder: holder.spawn().context("start unshare")? };
        let there = cable.holder.stdout.as_mut().context("a pipe")?;
        there.read_exact(&mut [0]).context("make a network namespace")?;
        cable.connect()?;
        Ok(cable)
    }

    fn connect(&self) -> Result<()> {
        let pid = self.holder.id();
        let end = |device: &str, address: Ipv4Addr| {
            format!(
                "ip link set lo up && ip address add {address}/24 dev {device} && ip link set {device} mtu 1500 up && \
                 ip route replace 10.77.0.0/24 dev {device} src {address} congctl cubic"
            )
        };
        shell(&mut Command::new("sh"), &format!("ip link add near type veth peer name far netns {pid}"))?;
        shell(&mut Command::new("sh"), &end("near", NEAR))?;
        shell(Command::new("nsenter").arg(self.network()).arg("sh"), &end("far", FAR))
    }

    fn network(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.holder.id())
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // Both ends of the cable, now: the namespace goes when the kernel gets to it.
        let _ = Command::new("ip").args(["link", "delete", "near"]).output();
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn shell(sh: &mut Command, script: &str) -> Result<()> {
    let output = sh.args(["-c", script]).output().context("start a shell")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "lay a veth cable: {}", told.trim());
    Ok(())
}
