//! The table of engines.md §7.

use anyhow::Result;

use super::contenders::{Contender, Place, echo, idle, iperf, ours, tunnel};
use super::row::{Bound, Make, Quantity, Row, Target};

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

const VETH: &str = "CPU is the server's alone. It runs in another network namespace, at the far end of the cable, which hands \
    on the sender's trains of 1448-byte segments whole. So the receiver finds what GRO makes of a wire; the work of GRO \
    itself is in neither number.";
const FLAT_OUT: &str = "A policy allows 100 000 a second at most, which the loop reaches, too. So this is the echo engine \
    without a session around it, on a data port and with a rate that no policy could set. One client keeps up to 128 \
    datagrams on their way, sends 64 in one call and never sleeps.";
const KEYED: &str = "Both are our server in a session; the keyed one checks and signs each datagram. CPU is the server's \
    alone, to the nanosecond, and has in both what an echo thread spins after a burst. The client seals its requests \
    before they are due.";

/// In the order of the table. What this machine cannot run is a row that says so.
pub(crate) fn all() -> Vec<Row> {
    use Quantity::{Cpu, Delay, Loss, Memory};
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
        Row {
            name: "receiving from stock 3.12 over veth, MTU 1500 with GRO",
            peer: "iperf3 3.12 server",
            unit: "Gbit/s",
            ours: boxed(iperf::Served::far_receiver),
            theirs: boxed(iperf::Pair::far_receiver),
            targets: vec![most(Cpu, 0.6)],
            note: Some(VETH),
        },
        Row {
            name: "receiving UDP from stock 3.12, 1 Gbit/s",
            peer: "iperf3 3.12 server",
            unit: "Gbit/s",
            ours: boxed(iperf::Served::udp_receiver),
            theirs: boxed(iperf::Pair::udp_receiver),
            targets: vec![most(Cpu, 0.6), most(Loss, 0.0)],
            note: Some(
                "CPU is the server's alone. No round of ours may lose a datagram; what the peer lost is beside it.",
            ),
        },
        udp("UDP 1448 B unpaced", "iperf3 3.12", "3.12", PLAIN, 10.0),
        udp("UDP 1448 B unpaced", "iperf3 3.21 --gsro", "3.21", Extra(&["--gsro"], &[]), 0.95),
        Row {
            name: "echo 64 B, 50 000 a second",
            peer: "tokio loop",
            unit: "k/s",
            ours: boxed(|place| echo::Ours::new(place, echo::Load::Paced)),
            theirs: boxed(|_| Ok(echo::Bare::tokio_loop(echo::Load::Paced))),
            targets: vec![most(Cpu, 0.7)],
            note: Some("CPU is the server's alone, to the nanosecond."),
        },
        Row {
            name: "echo 64 B, one at a time",
            peer: "tokio loop",
            unit: "k/s",
            ours: boxed(|place| echo::Ours::new(place, echo::Load::OneByOne)),
            theirs: boxed(|_| Ok(echo::Bare::tokio_loop(echo::Load::OneByOne))),
            targets: vec![most(Delay, 0.4)],
            note: None,
        },
        Row {
            name: "echo 64 B, as fast as it goes",
            peer: "tokio loop",
            unit: "k/s",
            ours: boxed(|_| Ok(echo::Bare::engine(echo::Load::FlatOut))),
            theirs: boxed(|_| Ok(echo::Bare::tokio_loop(echo::Load::FlatOut))),
            targets: vec![rate(1.4)],
            note: Some(FLAT_OUT),
        },
        Row {
            name: "keyed echo, 50 000 a second",
            peer: "plain echo",
            unit: "k/s",
            ours: boxed(|place| echo::Keyed::new(place, echo::Load::Paced)),
            theirs: boxed(|place| echo::Ours::new(place, echo::Load::Paced)),
            targets: vec![most(Cpu, 1.15)],
            note: Some(KEYED),
        },
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
