//! The table of engines.md §7.

use anyhow::{Result, bail};

use super::contenders::{Contender, Place, Sample, echo, idle, iperf, ours, tunnel};

/// Makes a contender ready, or says what is missing.
pub(crate) type Make = Box<dyn FnOnce(&Place) -> Result<Box<dyn Contender>>>;

/// A contest.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) peer: &'static str,
    /// Of the rate.
    pub(crate) unit: &'static str,
    pub(crate) ours: Make,
    pub(crate) theirs: Make,
    pub(crate) targets: Vec<Target>,
    pub(crate) note: Option<&'static str>,
}

/// What is held to a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    pub(crate) quantity: Quantity,
    pub(crate) bound: Bound,
}

/// Of the ratio of ours to the peer's; of memory, of ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    Least(f64),
    Most(f64),
}

/// What a sample holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    Rate,
    Cpu,
    Delay,
    Memory,
}

impl Quantity {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Cpu => "CPU",
            Self::Delay => "p50",
            Self::Memory => "memory",
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Rate => "",
            Self::Cpu => "s/G",
            Self::Delay => "µs",
            Self::Memory => "MiB PSS",
        }
    }

    pub(crate) fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::Rate => sample.rate,
            Self::Cpu => sample.cpu,
            Self::Delay => sample.delay,
            Self::Memory => sample.memory,
        }
    }
}

const fn rate(least: f64) -> Target {
    Target { quantity: Quantity::Rate, bound: Bound::Least(least) }
}

const fn most(quantity: Quantity, most: f64) -> Target {
    Target { quantity, bound: Bound::Most(most) }
}

fn boxed<C: Contender + 'static>(make: impl FnOnce(&Place) -> Result<C> + 'static) -> Make {
    Box::new(|place| Ok(Box::new(make(place)?)))
}

fn tcp(name: &'static str, peer: &'static str, streams: u32, version: &'static str, extra: Extra) -> Row {
    Row {
        name,
        peer,
        unit: "Gbit/s",
        ours: boxed(move |place| ours::Pair::tcp(place, streams)),
        theirs: boxed(move |place| iperf::Pair::tcp(place, version, streams, extra.0, extra.1)),
        targets: Vec::new(),
        note: None,
    }
}

/// Arguments of a stock client and of its server.
#[derive(Clone, Copy)]
struct Extra(&'static [&'static str], &'static [&'static str]);

const PLAIN: Extra = Extra(&[], &[]);
/// sendfile, and a server and client that do not copy what they receive.
const FASTEST: Extra = Extra(&["-Z", "--skip-rx-copy"], &[]);

fn stock(name: &'static str, streams: u32, reverse: bool, least: f64) -> Row {
    Row {
        name,
        peer: "iperf3 3.12 server",
        unit: "Gbit/s",
        ours: boxed(move |place| iperf::Served::new(place, "3.12", streams, reverse)),
        theirs: boxed(move |place| iperf::Pair::new(place, "3.12", streams, reverse)),
        targets: vec![rate(least)],
        note: None,
    }
}

fn udp(name: &'static str, peer: &'static str, version: &'static str, extra: Extra, least: f64) -> Row {
    Row {
        name,
        peer,
        unit: "Gbit/s",
        ours: boxed(ours::Pair::udp),
        theirs: boxed(move |place| iperf::Pair::udp(place, version, extra.0, extra.1)),
        targets: vec![rate(least)],
        note: None,
    }
}

fn tunneled(name: &'static str, streams: u32, targets: Vec<Target>) -> Row {
    Row {
        name,
        peer: "tokio-rustls",
        unit: "Gbit/s",
        ours: boxed(move |place| ours::Pair::tunnel(place, streams)),
        theirs: boxed(move |_| Ok(tunnel::Pair::new(streams))),
        targets,
        note: None,
    }
}

/// In the order of the table. What the table has and this machine cannot run is a row that says so.
pub(crate) fn all() -> Vec<Row> {
    use Quantity::{Cpu, Delay, Memory};
    let with = |row: Row, targets: Vec<Target>| Row { targets, ..row };
    vec![
        with(tcp("TCP 1 stream", "iperf3 3.12", 1, "3.12", PLAIN), vec![rate(1.9), most(Cpu, 0.45)]),
        with(tcp("TCP 4 streams", "iperf3 3.12", 4, "3.12", PLAIN), vec![rate(4.5), most(Cpu, 0.3)]),
        with(tcp("TCP 4 streams", "iperf3 3.21", 4, "3.21", PLAIN), vec![rate(1.8)]),
        with(tcp("TCP 1 stream", "iperf3 3.21 -Z --skip-rx-copy", 1, "3.21", FASTEST), vec![rate(1.25)]),
        with(tcp("TCP 4 streams", "iperf3 3.21 -Z --skip-rx-copy", 4, "3.21", FASTEST), vec![rate(1.25)]),
        stock("stock 3.12 client, upload", 1, false, 1.5),
        stock("stock 3.12 client, -R", 1, true, 1.8),
        stock("stock 3.12 client, -R -P 4", 4, true, 1.0),
        absent(
            "receiving from stock 3.12 over veth, MTU 1500 with GRO",
            "iperf3 3.12 server",
            "no veth pair in this bench yet",
        ),
        Row {
            targets: vec![most(Cpu, 0.6)],
            ..Row {
                name: "receiving UDP from stock 3.12, 1 Gbit/s",
                peer: "iperf3 3.12 server",
                unit: "Gbit/s",
                ours: boxed(iperf::Served::udp),
                theirs: boxed(iperf::Pair::udp_receiver),
                targets: Vec::new(),
                note: None,
            }
        },
        udp("UDP 1448 B unpaced", "iperf3 3.12", "3.12", PLAIN, 10.0),
        udp("UDP 1448 B unpaced", "iperf3 3.21 --gsro", "3.21", Extra(&["--gsro"], &[]), 0.95),
        Row {
            name: "echo 64 B, 50 000 a second",
            peer: "tokio loop",
            unit: "k/s",
            ours: boxed(|place| echo::Ours::new(place, echo::Load::Paced)),
            theirs: boxed(|place| echo::Loop::new(place, echo::Load::Paced)),
            targets: vec![most(Cpu, 0.7)],
            note: Some("CPU is the server's alone"),
        },
        Row {
            name: "echo 64 B, one at a time",
            peer: "tokio loop",
            unit: "k/s",
            ours: boxed(|place| echo::Ours::new(place, echo::Load::OneByOne)),
            theirs: boxed(|place| echo::Loop::new(place, echo::Load::OneByOne)),
            targets: vec![most(Delay, 0.4)],
            note: None,
        },
        absent(
            "echo 64 B, as fast as it goes",
            "tokio loop",
            "policy allows 100 000 a second at most, which the loop reaches, too",
        ),
        absent("keyed echo", "plain echo", "needs a client with the keys of a link"),
        tunneled("tunnel 1 stream", 1, vec![rate(1.35), most(Cpu, 0.7)]),
        tunneled("tunnel 4 streams", 4, vec![rate(1.6), most(Cpu, 0.7)]),
        Row {
            name: "64 granted idle sessions",
            peer: "64 × iperf3 -s 3.12",
            unit: "",
            ours: boxed(idle::Ours::new),
            theirs: boxed(idle::Stock::new),
            targets: vec![most(Memory, 24.0)],
            note: None,
        },
    ]
}

fn absent(name: &'static str, peer: &'static str, why: &'static str) -> Row {
    let no: Make = Box::new(move |_| bail!("{why}"));
    let none: Make = Box::new(move |_| bail!("{why}"));
    Row { name, peer, unit: "", ours: no, theirs: none, targets: Vec::new(), note: None }
}
