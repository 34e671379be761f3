//! What limited a run, where, and what to try: the same words in every report. Pure.

use crate::client::result::Phase;
use crate::engine::evidence::limit::{By, Cause, Direction, Limit, Side};

/// What limited a run, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// "the byte limit of the reflector's policy"
    pub(super) what: &'static str,
    /// "on the reflector"
    pub(super) place: &'static str,
    /// "raise …"
    pub(super) attempt: &'static str,
}

impl Advice {
    /// One sentence and what to do about it.
    pub(super) fn sentence(&self) -> String {
        let Self { what, place, attempt } = self;
        if place.is_empty() {
            format!("{what}. Try: {attempt}")
        } else {
            format!("{what}, {place}. Try: {attempt}")
        }
    }
}

/// The words for a phase.
pub(super) fn advice(phase: &Phase) -> Advice {
    let limit = &phase.limit;
    let what = what(limit);
    Advice { what, place: place(limit, phase.direction()), attempt: attempt(limit) }
}

/// Also for what was reached besides.
pub(super) fn name(by: By, cause: Cause) -> String {
    match (by, cause) {
        (By::Unknown, _) => "unknown".to_owned(),
        _ => format!("{by}: {cause}"),
    }
}

fn what(limit: &Limit) -> &'static str {
    match (limit.by, limit.cause) {
        (By::Policy, Cause::Duration) => "the owner's time limit: it cut the test",
        (By::Policy, Cause::Quota) => "the owner's byte limit: the test used it up",
        (By::Policy, _) => "the owner's rate limit",
        (By::Application, Cause::Rate) => "the test itself: it reached the rate it asked for",
        (By::Application, _) => "the test itself: the sender had nothing to send for part of the run",
        (By::Sender | By::Receiver | By::ReflectorHost, Cause::Cpu) => processor(limit),
        (By::Nic, _) => "the network interface: it ran at the speed of its link",
        (By::Receiver, _) => "the receiver's window: it was full",
        (By::Sender, _) => "the sender's socket buffer: it was too small",
        (By::Network, Cause::Mtu) => "the packet size of the path: it is smaller than the interface's",
        (By::Network, Cause::Loss) => "loss on the path",
        (By::Network, _) => "a queue on the path",
        (By::ReflectorHost | By::Unknown, _) => "unknown: nothing that was measured explains the rate",
    }
}

fn processor(limit: &Limit) -> &'static str {
    let has = |name: &str| limit.evidence.first().is_some_and(|signal| signal.signal == name);
    if has("cgroup_throttled_periods") {
        "a processor: its container had used up its CPU time"
    } else if has("firmware_throttled") || has("throttle_events") {
        "a processor: it was slowed down by heat or a weak power supply"
    } else if has("wanting_thread_percent") {
        "a processor: a stream's thread waited for a free core"
    } else if has("busiest_softirq_percent") {
        "a processor: one core was busy with the kernel's packet work"
    } else {
        "a processor: one thread used a whole core"
    }
}

fn place(limit: &Limit, direction: Option<Direction>) -> &'static str {
    let sender = match direction {
        Some(Direction::Up) => "on this host",
        Some(Direction::Down) => "on the reflector",
        None => "",
    };
    let receiver = match direction {
        Some(Direction::Up) => "on the reflector",
        Some(Direction::Down) => "on this host",
        None => "",
    };
    match (limit.by, limit.cause) {
        (By::Policy | By::ReflectorHost, _) => "on the reflector",
        (By::Sender | By::Receiver, Cause::Cpu) => "on this host",
        (By::Sender, _) => sender,
        (By::Receiver, _) => receiver,
        (By::Nic, _) => match limit.evidence.first().map(|signal| signal.side) {
            Some(Side::Reflector) => "on the reflector",
            _ => "on this host",
        },
        (By::Network, _) => "between the two hosts",
        (By::Application | By::Unknown, _) => "",
    }
}

fn attempt(limit: &Limit) -> &'static str {
    match (limit.by, limit.cause) {
        (By::Policy, Cause::Duration) => "a shorter test (-t), or ask the owner for a longer maxTestDuration",
        (By::Policy, Cause::Quota) => "again after 00:00 UTC, or ask the owner for a larger byte limit",
        (By::Policy, _) => "ask the owner for a higher maxRate",
        (By::Application, Cause::Rate) => "a higher --udp rate",
        (By::Application, _) => "more streams (-P), and look for what else keeps the sender busy",
        (By::Sender | By::Receiver | By::ReflectorHost, Cause::Cpu) => {
            "more streams (-P), a cooler or idle host, a higher CPU limit of its container"
        }
        (By::Nic, _) => "a faster link; nothing else will help",
        (By::Receiver, _) => "more streams (-P), or a larger net.ipv4.tcp_rmem at the receiver",
        (By::Sender, _) => "more streams (-P), or a larger net.ipv4.tcp_wmem at the sender",
        (By::Network, Cause::Mtu) => "the path's MTU on the interface, and let ICMP \"too big\" pass",
        (By::Network, Cause::Loss) => {
            "more streams (-P) to see whether loss or capacity sets the rate; look at radio and cables"
        }
        (By::Network, _) => {
            "smart queue management (fq_codel, CAKE) on the router in front of the slowest link"
        }
        (By::ReflectorHost | By::Unknown, _) => "more streams (-P) or a longer test (-t)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::result::samples;

    /// H7
    #[test]
    fn every_limit_has_words_and_something_to_try() {
        let mut phase = samples::cable().phases.remove(0);
        for name in ["down", "up"] {
            phase.name = name.to_owned();
            for by in By::ALL {
                for cause in Cause::ALL {
                    (phase.limit.by, phase.limit.cause) = (*by, *cause);
                    let said = advice(&phase).sentence();
                    assert!(said.contains(". Try: ") && !said.contains(",."), "{said}");
                }
            }
        }
    }

    #[test]
    fn the_reference_names_every_limit() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/test-result.md");
        let reference = std::fs::read_to_string(path).unwrap();
        let names = By::ALL.iter().map(|by| by.as_str()).chain(Cause::ALL.iter().map(|cause| cause.as_str()));
        for name in names {
            assert!(
                reference.contains(&format!("`{name}`")),
                "{name} is missing in docs/reference/test-result.md"
            );
        }
    }

    /// H7
    #[test]
    fn the_side_is_the_one_that_was_limited() {
        let mut phase = samples::cable().phases.remove(0);
        let mut place = |name: &str, by, cause| {
            phase.name = name.to_owned();
            (phase.limit.by, phase.limit.cause) = (by, cause);
            phase.limit.evidence.clear();
            advice(&phase).place
        };
        assert_eq!(place("down", By::Receiver, Cause::Window), "on this host");
        assert_eq!(place("up", By::Receiver, Cause::Window), "on the reflector");
        assert_eq!(place("down", By::Sender, Cause::Buffer), "on the reflector");
        assert_eq!(place("up", By::Sender, Cause::Buffer), "on this host");
        assert_eq!(place("down", By::Receiver, Cause::Cpu), "on this host");
        assert_eq!(place("down", By::ReflectorHost, Cause::Cpu), "on the reflector");
        assert_eq!(place("bidir-up", By::Network, Cause::Queue), "between the two hosts");
    }
}
