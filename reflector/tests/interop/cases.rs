//! The matrix: what a client is asked to do, and what must be true of the numbers then.
//!
//! Most cases are paced: what is compared are two counts of the same bytes, and a queue that a stopped reader leaves
//! behind would only blur them. Two run at full speed, as appliances do.

use super::programs::Version;
use super::told::{Flow, Told};

/// Which ways bytes flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ways {
    Up,
    Down,
    Both,
}

/// When the test is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By the client's clock.
    Time,
    /// After so many bytes in all.
    Bytes(u64),
    /// By the server's, which granted less than is asked for.
    Frozen,
}

/// One command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) args: &'static str,
    pub(crate) ways: Ways,
    pub(crate) streams: u32,
    pub(crate) udp: bool,
    pub(crate) end: End,
    /// Seconds at the start that no result contains.
    pub(crate) omit: u32,
    /// Also run where only a few are.
    pub(crate) basic: bool,
    /// Stock clients up to this version never end it, with a stock server either.
    pub(crate) hangs_to: Option<&'static str>,
}

const TCP: Case = Case {
    name: "",
    args: "",
    ways: Ways::Up,
    streams: 1,
    udp: false,
    end: End::Time,
    omit: 0,
    basic: false,
    hangs_to: None,
};
const UDP: Case = Case { udp: true, ..TCP };

/// Engines.md §7, "Interop test".
pub(crate) const MATRIX: &[Case] = &[
    Case { name: "upload", args: "-t 1", basic: true, ..TCP },
    Case { name: "download", args: "-t 1 -R", ways: Ways::Down, basic: true, ..TCP },
    Case { name: "both ways", args: "-t 1 -b 400M --bidir", ways: Ways::Both, ..TCP },
    Case { name: "4 up", args: "-t 1 -P 4", streams: 4, ..TCP },
    Case { name: "3 down", args: "-t 1 -b 200M -P 3 -R", ways: Ways::Down, streams: 3, basic: true, ..TCP },
    Case { name: "3 both ways", args: "-t 1 -b 100M -P 3 --bidir", ways: Ways::Both, streams: 3, ..TCP },
    Case { name: "UDP up", args: "-t 1 -u -b 4M -l 1000", basic: true, ..UDP },
    Case { name: "UDP down", args: "-t 1 -u -b 4M -l 1000 -R", ways: Ways::Down, basic: true, ..UDP },
    Case { name: "UDP both ways", args: "-t 1 -u -b 4M -l 1000 --bidir", ways: Ways::Both, ..UDP },
    Case { name: "UDP 2 up", args: "-t 1 -u -b 2M -l 1000 -P 2", streams: 2, ..UDP },
    Case { name: "omit", args: "-t 1 -O 1 -b 200M", omit: 1, ..TCP },
    Case { name: "omit down", args: "-t 1 -O 1 -b 200M -R", ways: Ways::Down, omit: 1, ..TCP },
    Case { name: "bytes", args: "-n 24M -b 400M", end: End::Bytes(24 << 20), ..TCP },
    Case {
        name: "bytes down",
        args: "-n 24M -b 400M -R",
        ways: Ways::Down,
        end: End::Bytes(24 << 20),
        hangs_to: Some("3.9"),
        ..TCP
    },
    Case { name: "socket options", args: "-t 1 -b 200M -M 1200 -w 256K -N", ..TCP },
    Case { name: "zero copy", args: "-t 1 -b 400M -Z", ..TCP },
    Case { name: "server output", args: "-t 1 -b 100M --get-server-output", ..TCP },
    Case { name: "64-bit counters", args: "-t 1 -u -b 4M -l 1000 --udp-counters-64bit", ..UDP },
    Case { name: "freeze", args: "-t 8 -b 200M", end: End::Frozen, basic: true, ..TCP },
    Case { name: "freeze down", args: "-t 8 -b 200M -R", ways: Ways::Down, end: End::Frozen, ..TCP },
];

/// Bytes that may be under way when a TCP test at full speed ends, for each stream: the kernel's largest buffers.
const QUEUED: u64 = 40 << 20;
/// The same of a paced stream, whose queues are empty: a few blocks.
const PACED: u64 = 1 << 20;
/// Their size in every case.
const DATAGRAM: u64 = 1000;
/// Datagrams that may be under way, for each stream.
const DATAGRAMS_UNDER_WAY: u64 = 64;

impl Case {
    pub(crate) fn args(&self) -> Vec<String> {
        self.args.split_whitespace().map(str::to_owned).collect()
    }

    /// Seconds to ask a grant for.
    pub(crate) fn seconds(&self) -> u64 {
        if self.end == End::Frozen { 2 } else { 10 }
    }

    /// Whether a client of this version can end it.
    pub(crate) fn ends_with(&self, version: &Version) -> bool {
        self.hangs_to.is_none_or(|to| !version.is_at_most(to))
    }

    /// What is wrong with a result, by itself.
    pub(crate) fn judge(&self, told: &Told) -> Result<(), String> {
        let flows = [(&told.up, self.ways != Ways::Down, "up"), (&told.down, self.ways != Ways::Up, "down")];
        for (flow, flows, name) in flows {
            self.judge_flow(flow, flows).map_err(|what| format!("{name}: {what}: {flow:?}"))?;
        }
        let (least, most) = match self.end {
            End::Time => (0.9, 2.5),
            End::Bytes(_) => (0.0, 8.0),
            // Granted 2 s, and the client's last interval is to be whole.
            End::Frozen => (1.5, 6.0),
        };
        if !(least..=most).contains(&told.seconds) {
            return Err(format!("it took {} s", told.seconds));
        }
        if self.args.contains("--get-server-output") && told.server_output.is_none() {
            return Err("the server said nothing".to_owned());
        }
        Ok(())
    }

    fn judge_flow(&self, flow: &Flow, flows: bool) -> Result<(), String> {
        let expected = if flows { self.streams as usize } else { 0 };
        if flow.streams != expected {
            return Err(format!("{} streams, not {expected}", flow.streams));
        }
        if !flows {
            return Ok(());
        }
        if flow.sent == 0 || flow.received == 0 {
            return Err("nothing moved".to_owned());
        }
        if let End::Bytes(bytes) = self.end
            && flow.sent < bytes
        {
            return Err(format!("less than {bytes} bytes"));
        }
        let streams = u64::from(self.streams);
        if self.udp {
            return judge_datagrams(flow, streams);
        }
        if self.end == End::Frozen {
            // Until it hears of the end the client fills queues that nobody empties any more.
            let fits = flow.received <= flow.sent && flow.sent - flow.received <= QUEUED;
            return if fits { Ok(()) } else { Err("sent and received are far apart".to_owned()) };
        }
        let slack = streams * if self.args.contains("-b ") { PACED } else { QUEUED };
        // Either side cuts the omitted seconds off by its own clock.
        let slack = if self.omit > 0 { slack + flow.sent / 2 } else { slack };
        if flow.sent.abs_diff(flow.received) > slack.max(flow.sent / 100) {
            return Err("sent and received are far apart".to_owned());
        }
        Ok(())
    }

    /// Compares with the bytes in our own books: of both directions, as the side that is ours counted them.
    pub(crate) fn judge_books(&self, told: &Told, booked: u64) -> Result<(), String> {
        let (up, down) = (&told.up, &told.down);
        // In both directions the client's JSON holds our count, sent in the exchange of results. A UDP result has
        // packets for it, and what was sent by the other side.
        let ours = up.received + down.sent;
        let fits = if self.omit > 0 {
            // The books hold what the result leaves out.
            booked >= ours && booked <= ours * 3
        } else if self.udp {
            within(booked, ours, (ours / 100).max(DATAGRAMS_UNDER_WAY * DATAGRAM))
        } else {
            within(booked, ours, ours / 100)
        };
        if fits { Ok(()) } else { Err(format!("booked {booked}, told {ours}: {up:?} {down:?}")) }
    }
}

/// A machine that does other work at the same time loses some: that is no error as long as it is told.
fn judge_datagrams(flow: &Flow, streams: u64) -> Result<(), String> {
    let sent = flow.sent / DATAGRAM;
    if !within(sent, flow.packets, streams * DATAGRAMS_UNDER_WAY) {
        return Err(format!("{sent} datagrams sent"));
    }
    if flow.lost > flow.packets / 2 {
        return Err("most are lost".to_owned());
    }
    Ok(())
}

fn within(one: u64, other: u64, slack: u64) -> bool {
    one.abs_diff(other) <= slack
}
