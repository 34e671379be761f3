//! Runs stock iperf3: a client to its end, a server until it is dropped.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::bed::{PATIENCE, until};
use super::programs::Iperf;
use super::told::{self, Told};

/// A client that is not done after this hangs. Far above the longest case.
const CLIENT: Duration = Duration::from_secs(60);

impl Iperf {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs a client to its end.
    pub(crate) async fn client(&self, server: SocketAddr, args: &[String]) -> Result<Told, String> {
        let mut command = self.command();
        command.arg("-c").arg(server.ip().to_string()).arg("-p").arg(server.port().to_string());
        command.arg("-J").args(args);
        let output = timeout(CLIENT, command.output()).await;
        let output = output.map_err(|_| format!("not done after {CLIENT:?}"))?;
        let output = output.map_err(|error| error.to_string())?;
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let told = told::read(&String::from_utf8_lossy(&output.stdout));
        let told = told.map_err(|why| format!("{why} ({}) {stderr}", output.status))?;
        if output.status.success() { Ok(told) } else { Err(format!("{} {stderr}", output.status)) }
    }
}

/// A server for one test. Dropping it kills it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts one and waits until it listens.
    pub(crate) async fn start(program: &Iperf, ip: IpAddr) -> Self {
        let address = std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap();
        let mut command = program.command();
        command.args(["-s", "-1", "-p"]).arg(address.port().to_string());
        // Its output is read by nobody.
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // A connection to see whether it listens would be its one test.
        until(|| is_listening(address.port()).then_some(()), "stock server that listens").await;
        Self { address, child }
    }

    /// Waits for the end of its one test.
    pub(crate) async fn end(mut self) -> Result<(), String> {
        let status =
            timeout(PATIENCE, self.child.wait()).await.map_err(|_| "the stock server did not end")?;
        let status = status.map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the stock server: {status}")) }
    }
}

/// Whether a TCP socket listens on this port, by the kernel's tables.
fn is_listening(port: u16) -> bool {
    let local = format!(":{port:04X}");
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|file| std::fs::read_to_string(file).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines()).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|address| address.ends_with(&local)) && fields.nth(1) == Some("0A")
    })
}
