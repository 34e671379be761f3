//! Stock iperf3: a client with a server of the same version, or a client that our server serves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::appliance::{Connection, Test};
use serde_json::Value;

use super::super::machine;
use super::host::Host;
use super::ours::Reflector;
use super::process::{Done, Running};
use super::{Contender, Place, Sample};

/// Whose CPU time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Account {
    BothEnds,
    Server,
}

/// A stock client: what it is started with.
#[derive(Clone)]
struct Client {
    program: PathBuf,
    args: Vec<String>,
    udp: bool,
}

/// Client and server of one version.
pub(crate) struct Pair {
    client: Client,
    host: Host,
    server_args: Vec<String>,
    account: Account,
}

impl Client {
    fn new(place: &Place, version: &str, udp: bool, args: &[&str]) -> Result<Self> {
        let program = place.iperf(version)?.to_owned();
        Ok(Self { program, args: args.iter().map(|arg| (*arg).to_owned()).collect(), udp })
    }

    fn run(&self, server: SocketAddr, seconds: u32) -> Result<(Value, Done)> {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(server.ip().to_string()).arg("-p").arg(server.port().to_string());
        command.arg("-J").arg("-t").arg(seconds.to_string()).args(&self.args);
        if !self.udp {
            command.arg("-C").arg(machine::congestion());
        }
        let done = Running::start(command.stdout(Stdio::piped()))?.end()?;
        let json: Value = serde_json::from_str(&done.stdout).context("read the JSON of iperf3")?;
        if let Some(error) = json.get("error") {
            bail!("iperf3 says {error}");
        }
        Ok((json, done))
    }

    /// What arrived, and in what time by the receiver's clock.
    fn sample(&self, json: &Value, cpu_seconds: f64) -> Result<Sample> {
        let sum = &json["end"]["sum_received"];
        let (bytes, seconds) = (sum["bytes"].as_u64(), sum["seconds"].as_f64());
        let (received, seconds) = bytes.zip(seconds).context("no end.sum_received")?;
        ensure!(received > 0, "nothing arrived");
        if self.udp {
            let lost = json["end"]["sum"]["lost_packets"].as_f64();
            let received = udp_received(json, received);
            return Ok(Sample { lost, ..Sample::of_bytes(received, seconds, cpu_seconds) });
        }
        let sent = json["end"]["sum_sent"]["bytes"].as_u64();
        Ok(Sample { sent, ..Sample::of_bytes(received, seconds, cpu_seconds) })
    }
}

/// Some versions count lost datagrams as received.
fn udp_received(json: &Value, told: u64) -> u64 {
    let sum = &json["end"]["sum"];
    let (Some(packets), Some(lost)) = (sum["packets"].as_u64(), sum["lost_packets"].as_u64()) else {
        return told;
    };
    let length = json["start"]["test_start"]["blksize"].as_u64().unwrap_or_default();
    told.min(packets.saturating_sub(lost) * length)
}

impl Pair {
    /// An upload with arguments for the client and the server.
    pub(crate) fn tcp(
        place: &Place,
        version: &str,
        streams: u32,
        client: &[&str],
        server: &[&str],
    ) -> Result<Self> {
        let streams = streams.to_string();
        let args: Vec<&str> = ["-P", &streams].into_iter().chain(client.iter().copied()).collect();
        Ok(Self::both_ends(Client::new(place, version, false, &args)?, server))
    }

    /// What [`Served`] is compared with.
    pub(crate) fn new(place: &Place, version: &str, streams: u32, reverse: bool) -> Result<Self> {
        Self::tcp(place, version, streams, if reverse { &["-R"] } else { &[] }, &[])
    }

    /// Datagrams as fast as they go.
    pub(crate) fn udp(place: &Place, version: &str, client: &[&str], server: &[&str]) -> Result<Self> {
        let args: Vec<&str> =
            ["-u", "-b", "0", "-l", "1448"].into_iter().chain(client.iter().copied()).collect();
        Ok(Self::both_ends(Client::new(place, version, true, &args)?, server))
    }

    fn both_ends(client: Client, server: &[&str]) -> Self {
        let server_args = server.iter().map(|arg| (*arg).to_owned()).collect();
        Self { client, host: Host::Here, server_args, account: Account::BothEnds }
    }

    /// Receives what [`Served::udp_receiver`] receives.
    pub(crate) fn udp_receiver(place: &Place) -> Result<Self> {
        Ok(Self { account: Account::Server, ..Self::both_ends(udp_client(place)?, &[]) })
    }

    /// Receives what [`Served::far_receiver`] receives.
    pub(crate) fn far_receiver(place: &Place) -> Result<Self> {
        let pair = Self::both_ends(Client::new(place, "3.12", false, &[])?, &[]);
        Ok(Self { account: Account::Server, host: place.far()?, ..pair })
    }
}

fn udp_client(place: &Place) -> Result<Client> {
    Client::new(place, "3.12", true, &["-u", "-b", "1G", "-l", "1448"])
}

impl Contender for Pair {
    fn run(&mut self, seconds: u32) -> Result<Sample> {
        let address = self.host.free()?;
        let mut command = self.host.command(&self.client.program);
        command.args(["-s", "-1", "-p"]).arg(address.port().to_string()).args(&self.server_args);
        let mut server = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
        server.listening(address.port())?;
        let (json, client) = self.client.run(address, seconds)?;
        let server = server.end()?;
        let cpu = match self.account {
            Account::BothEnds => client.cpu_seconds + server.cpu_seconds,
            Account::Server => server.cpu_seconds,
        };
        self.client.sample(&json, cpu)
    }
}

/// A stock client that our server serves, with the grant of an appliance.
pub(crate) struct Served {
    client: Client,
    reflector: Reflector,
    control: Connection,
    test: Test,
    account: Account,
}

impl Served {
    pub(crate) fn new(place: &Place, version: &str, streams: u32, reverse: bool) -> Result<Self> {
        let count = streams.to_string();
        let args: &[&str] = if reverse { &["-P", &count, "-R"] } else { &["-P", &count] };
        let test = Test::throughput(60).streams(streams);
        let test = if reverse { test.download() } else { test };
        let client = Client::new(place, version, false, args)?;
        Self::start(place, &Host::Here, client, test, Account::BothEnds)
    }

    /// Datagrams that are only received.
    pub(crate) fn udp_receiver(place: &Place) -> Result<Self> {
        let test = Test::throughput(60).streams(1).protocol("udp");
        Self::start(place, &Host::Here, udp_client(place)?, test, Account::Server)
    }

    /// A stream that is only received, over a cable.
    pub(crate) fn far_receiver(place: &Place) -> Result<Self> {
        let client = Client::new(place, "3.12", false, &[])?;
        Self::start(place, &place.far()?, client, Test::throughput(60).streams(1), Account::Server)
    }

    fn start(place: &Place, host: &Host, client: Client, test: Test, account: Account) -> Result<Self> {
        let reflector = Reflector::start_on(host, place, "")?;
        let control = reflector.appliance()?;
        Ok(Self { client, reflector, control, test, account })
    }
}

impl Contender for Served {
    fn run(&mut self, seconds: u32) -> Result<Sample> {
        let (control, test) = (&mut self.control, &self.test);
        let answer = self.reflector.runtime.block_on(control.request(test))?;
        let grant = answer.granted()?;
        let before = self.reflector.process.cpu_seconds()?;
        let (json, client) = self.client.run(grant.data_addr(), seconds)?;
        let server = self.reflector.process.cpu_seconds()? - before;
        let cpu = match self.account {
            Account::BothEnds => client.cpu_seconds + server,
            Account::Server => server,
        };
        self.client.sample(&json, cpu)
    }
}
