//! The interface that carries a test, and packets that this host threw away. Pure; the texts come from `read`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An interface during one run. Counters are those of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NicUse {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Speed of the link. Absent for interfaces without one: virtual ones name a number that limits nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<u64>,
    /// The largest packet it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu_bytes: Option<u32>,
    /// Packets the interface received and dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_drops: Option<u64>,
    /// Packets the interface did not get out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_drops: Option<u64>,
    /// Datagrams for which a socket of this host had no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_receive_buffer_drops: Option<u64>,
    /// Datagrams this host could not send for want of room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_send_buffer_drops: Option<u64>,
    /// Packets of which fragments were missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassembly_failures: Option<u64>,
    /// TCP segments this host threw away because a queue was full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_queue_drops: Option<u64>,
}

/// Counters since boot at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) receive_drops: Option<u64>,
    pub(super) send_drops: Option<u64>,
    pub(super) udp_receive_buffer_drops: Option<u64>,
    pub(super) udp_send_buffer_drops: Option<u64>,
    pub(super) reassembly_failures: Option<u64>,
    pub(super) tcp_queue_drops: Option<u64>,
}

/// The texts that hold the counters; empty when they cannot be read.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// `/proc/net/dev`
    pub(super) dev: String,
    /// `/proc/net/snmp`: IPv4, TCP, UDP over IPv4
    pub(super) snmp: String,
    /// `/proc/net/snmp6`: IPv6 and UDP over it
    pub(super) snmp6: String,
    /// `/proc/net/netstat`: details of TCP
    pub(super) netstat: String,
}

/// Reads the counters of `interface` and of this network namespace.
pub(super) fn counted(interface: Option<&str>, texts: &Texts) -> Counted {
    let drops = interface.and_then(|name| drops(&texts.dev, name));
    let both = |group: &str, key: &str| {
        let v6 = number6(&texts.snmp6, &format!("{group}6{key}"));
        // A host without IPv6 has only the one; neither readable is not zero.
        match (number(&texts.snmp, group, key), v6) {
            (Some(v4), Some(v6)) => Some(v4.saturating_add(v6)),
            (v4, v6) => v4.or(v6),
        }
    };
    let of_tcp = |key| number(&texts.netstat, "TcpExt", key);
    Counted {
        receive_drops: drops.map(|(received, _)| received),
        send_drops: drops.map(|(_, sent)| sent),
        udp_receive_buffer_drops: both("Udp", "RcvbufErrors"),
        udp_send_buffer_drops: both("Udp", "SndbufErrors"),
        reassembly_failures: both("Ip", "ReasmFails"),
        tcp_queue_drops: ["RcvPruned", "OfoPruned", "TCPBacklogDrop", "TCPRcvQDrop", "TCPZeroWindowDrop"]
            .into_iter()
            .filter_map(of_tcp)
            .reduce(u64::saturating_add),
    }
}

/// Adds to `nic` what was counted during the run. A counter that ran backwards belongs to another interface of the name.
pub(super) fn add_between(nic: &mut NicUse, begin: Counted, end: Counted) {
    let grown = |field: fn(&Counted) -> Option<u64>| field(&end)?.checked_sub(field(&begin)?);
    nic.receive_drops = grown(|counted| counted.receive_drops);
    nic.send_drops = grown(|counted| counted.send_drops);
    nic.udp_receive_buffer_drops = grown(|counted| counted.udp_receive_buffer_drops);
    nic.udp_send_buffer_drops = grown(|counted| counted.udp_send_buffer_drops);
    nic.reassembly_failures = grown(|counted| counted.reassembly_failures);
    nic.tcp_queue_drops = grown(|counted| counted.tcp_queue_drops);
}

/// Received and dropped, and not sent, of one line: eight columns each way, of which drops and FIFO overruns are lost
/// packets.
fn drops(dev: &str, interface: &str) -> Option<(u64, u64)> {
    let columns =
        dev.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'))?;
    let columns: Vec<u64> =
        columns.split_ascii_whitespace().map_while(|column| column.parse().ok()).collect();
    let lost = |at: usize| Some(columns.get(at + 3)?.saturating_add(*columns.get(at + 4)?));
    Some((lost(0)?, lost(8)?))
}

/// A column of a pair of lines: names, then numbers.
fn number(text: &str, group: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group)?.strip_prefix(':'));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_ascii_whitespace().position(|name| name == key)?;
    numbers.split_ascii_whitespace().nth(at)?.parse().ok()
}

/// IPv6 counters have a line each.
fn number6(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|name| *name == key)?;
        words.next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        let text = |text: &str| text.to_owned();
        Texts {
            dev: text(
                "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 351608113599 19269245    0    0    0     0          0         0 351608113599 19269245    0    0    0     0       0          0
  eth0: 974180875   49371    1   20    3     0          0         0  3233839   30910    2    40    5     0       0          0
 veth0:10 1 0 7 0 0 0 0 10 1 0 8 0 0 0 0
",
            ),
            snmp: text(
                "Ip: Forwarding InReceives ReasmFails FragOKs
Ip: 2 19318532 100 0
Icmp: InMsgs
Icmp: 169
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors
Udp: 3092 167 133 3397 1000 60
UdpLite: InDatagrams RcvbufErrors
UdpLite: 0 77
",
            ),
            snmp6: text("Ip6InReceives 5\nIp6ReasmFails                   \t200\nUdp6RcvbufErrors 3000\nUdp6SndbufErrors 9\n"),
            netstat: text(
                "TcpExt: SyncookiesSent RcvPruned OfoPruned TCPBacklogDrop TCPRcvQDrop
TcpExt: 900 1 20 300 4000
IpExt: InNoRoutes
IpExt: 5
",
            ),
        }
    }

    #[test]
    fn every_drop_has_its_own_counter() {
        assert_eq!(
            counted(Some("eth0"), &texts()),
            Counted {
                receive_drops: Some(23),
                send_drops: Some(45),
                udp_receive_buffer_drops: Some(4000),
                udp_send_buffer_drops: Some(69),
                reassembly_failures: Some(300),
                tcp_queue_drops: Some(4321),
            }
        );
    }

    /// `veth0:10` is how a wide number is written.
    #[test]
    fn an_interface_is_found_by_its_whole_name() {
        let drops = |name| counted(Some(name), &texts()).receive_drops;
        assert_eq!(["veth0", "lo", "eth", "eth01"].map(drops), [Some(7), Some(0), None, None]);
        assert_eq!(counted(None, &texts()).send_drops, None);
    }

    #[test]
    fn what_a_sandbox_hides_is_absent_and_half_of_it_is_used() {
        assert_eq!(counted(Some("eth0"), &Texts::default()), Counted::default());
        let no_v6 = Texts { snmp6: String::new(), ..texts() };
        assert_eq!(counted(None, &no_v6).udp_receive_buffer_drops, Some(1000));
    }

    #[test]
    fn only_what_grew_during_the_run_is_told() {
        let begin = counted(Some("eth0"), &texts());
        let end = Counted {
            receive_drops: Some(25),
            reassembly_failures: Some(307),
            send_drops: Some(1),
            tcp_queue_drops: None,
            ..begin
        };
        let mut nic = NicUse { mtu_bytes: Some(1500), ..NicUse::default() };
        add_between(&mut nic, begin, end);
        assert_eq!(
            (nic.receive_drops, nic.reassembly_failures, nic.udp_send_buffer_drops),
            (Some(2), Some(7), Some(0))
        );
        // The interface was replaced; the counter went away.
        assert_eq!((nic.send_drops, nic.tcp_queue_drops, nic.mtu_bytes), (None, None, Some(1500)));
    }
}
