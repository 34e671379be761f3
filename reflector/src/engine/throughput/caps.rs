//! Parameters against the grant (pure): what a client asked for becomes a plan, or a code and a reason.
//!
//! What would change the result is refused; what only changes how fast it gets there is clamped and reported.

use std::time::Duration;

use crate::engine::iperf::{Code, Parameters, Transport};
use crate::link::message::{Mode, Protocol};

use super::plan::{Clamp, Direction, End, Plan};

/// Largest socket buffer. The kernel's own limit is usually far lower; above this a buffer is memory taken from others
/// (test `what_only_costs_speed_is_clamped_and_reported`).
pub(super) const MAX_WINDOW: u32 = 64 << 20;

/// A TCP block below this is sent as asked, because it is what is measured; above, our own size is faster and nobody can tell.
const EXACT_BELOW: u32 = 64 << 10;

/// A client whose time is inside the grant has this long for its last byte.
const END_WITHIN: Duration = Duration::from_secs(3);

/// What the session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) protocol: Protocol,
    pub(super) mode: Mode,
    pub(super) streams: u32,
    pub(super) duration: Duration,
    /// Bits per second in each direction.
    pub(super) max_rate: Option<u64>,
    /// Bits per second of UDP that this host can send without drowning its own network.
    pub(super) udp_send_rate: u64,
}

/// Why parameters are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) reason: &'static str,
}

/// Decides.
pub(super) fn plan(parameters: Parameters, grant: &Grant) -> Result<Plan, Refusal> {
    let refuse = |code, reason| Err(Refusal { code, reason });
    let granted_transport = match grant.protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
    };
    if parameters.transport != granted_transport {
        return refuse(Code::Protocol, "the protocol was not granted");
    }
    if parameters.parallel > grant.streams {
        return refuse(Code::Streams, "more streams than granted");
    }
    let omit = seconds(parameters.omit);
    if omit >= grant.duration {
        return refuse(Code::Omit, "omits all of the granted time");
    }
    let mut clamped = Vec::new();
    let send_rate = send_rate(&parameters, grant, &mut clamped);
    let window = clamp("window", parameters.window.into(), MAX_WINDOW.into(), &mut clamped);
    Ok(Plan {
        directions: directions(&parameters),
        omit,
        end: end(&parameters, grant.duration),
        send_rate,
        receive_limit: grant.max_rate,
        exact_length: parameters.transport == Transport::Udp || parameters.length < EXACT_BELOW,
        window: u32::try_from(window).unwrap_or(MAX_WINDOW),
        first_buffer: None,
        clamped,
        parameters,
    })
}

/// The client opens its senders first, then its receivers.
fn directions(parameters: &Parameters) -> Vec<Direction> {
    let first =
        if parameters.reverse && !parameters.bidirectional { Direction::Send } else { Direction::Receive };
    let mut directions = vec![first; usize::try_from(parameters.parallel).unwrap_or(0)];
    if parameters.bidirectional {
        directions.extend(vec![Direction::Send; directions.len()]);
    }
    directions
}

fn end(parameters: &Parameters, granted: Duration) -> End {
    let asked = seconds(parameters.time) + seconds(parameters.omit);
    if parameters.time == 0 || asked > granted {
        End::Freeze { after: granted }
    } else {
        End::ByClient { within: asked + END_WITHIN }
    }
}

/// Bits per second and stream. UDP is never unlimited: it would not slow down for anybody.
fn send_rate(parameters: &Parameters, grant: &Grant, clamped: &mut Vec<Clamp>) -> Option<u64> {
    let udp = (parameters.transport == Transport::Udp).then_some(grant.udp_send_rate);
    let total = [grant.max_rate, udp].into_iter().flatten().min();
    let share = total.map(|total| (total / u64::from(parameters.parallel.max(1))).max(1));
    let asked = [("bandwidth", parameters.bandwidth), ("fqrate", parameters.fair_queue_rate)];
    let asked = asked.map(|(key, asked)| share.map_or(asked, |share| clamp(key, asked, share, clamped)));
    asked.into_iter().filter(|rate| *rate > 0).chain(share).min()
}

fn clamp(key: &'static str, asked: u64, most: u64, clamped: &mut Vec<Clamp>) -> u64 {
    if asked > most {
        clamped.push(Clamp { key, asked, granted: most });
    }
    asked.min(most)
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANT: Grant = Grant {
        protocol: Protocol::Tcp,
        mode: Mode::DirectEphemeral,
        streams: 4,
        duration: Duration::from_secs(30),
        max_rate: None,
        udp_send_rate: 1_000_000_000,
    };
    const UDP: Grant = Grant { protocol: Protocol::Udp, ..GRANT };

    fn asked(change: impl FnOnce(&mut Parameters)) -> Parameters {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        parameters
    }

    fn code(parameters: Parameters, grant: &Grant) -> Code {
        plan(parameters, grant).unwrap_err().code
    }

    /// G9
    #[test]
    fn what_was_not_granted_is_refused_with_its_code() {
        assert_eq!(code(asked(|p| p.parallel = 5), &GRANT), Code::Streams);
        assert_eq!(code(asked(|p| p.transport = Transport::Udp), &GRANT), Code::Protocol);
        assert_eq!(code(asked(|p| p.transport = Transport::Sctp), &GRANT), Code::Protocol);
        assert_eq!(code(Parameters::default(), &UDP), Code::Protocol);
        assert_eq!(code(asked(|p| p.omit = 30), &GRANT), Code::Omit);
        assert!(plan(asked(|p| (p.omit, p.parallel) = (29, 4)), &GRANT).is_ok());
    }

    /// G9
    #[test]
    fn a_test_longer_than_granted_is_frozen_and_a_shorter_one_ends_itself() {
        let end = |time, omit| plan(asked(|p| (p.time, p.omit) = (time, omit)), &GRANT).unwrap().end;
        let frozen = End::Freeze { after: Duration::from_secs(30) };
        assert_eq!(end(31, 0), frozen);
        assert_eq!(end(29, 2), frozen);
        assert_eq!(end(0, 0), frozen);
        assert_eq!(end(28, 2), End::ByClient { within: Duration::from_secs(33) });
    }

    #[test]
    fn both_directions_are_the_clients_senders_first() {
        let of = |change: fn(&mut Parameters)| plan(asked(change), &GRANT).unwrap().directions;
        assert_eq!(of(|p| p.parallel = 2), [Direction::Receive; 2]);
        assert_eq!(of(|p| p.reverse = true), [Direction::Send]);
        let both = of(|p| (p.bidirectional, p.parallel) = (true, 2));
        assert_eq!(both, [Direction::Receive, Direction::Receive, Direction::Send, Direction::Send]);
    }

    /// E6
    #[test]
    fn what_we_send_stays_below_the_peers_rate() {
        let capped = Grant { max_rate: Some(100_000_000), ..GRANT };
        let rate = |parameters, grant: &Grant| plan(parameters, grant).unwrap().send_rate;
        assert_eq!(rate(Parameters::default(), &GRANT), None);
        assert_eq!(rate(asked(|p| p.bandwidth = 5), &GRANT), Some(5));
        assert_eq!(rate(asked(|p| p.parallel = 4), &capped), Some(25_000_000));
        assert_eq!(rate(asked(|p| p.fair_queue_rate = 7), &capped), Some(7));
        let udp = |bandwidth| asked(|p| (p.transport, p.bandwidth) = (Transport::Udp, bandwidth));
        assert_eq!(rate(udp(0), &UDP), Some(1_000_000_000));
        assert_eq!(rate(udp(1_048_576), &UDP), Some(1_048_576));
    }

    #[test]
    fn what_only_costs_speed_is_clamped_and_reported() {
        let capped = Grant { max_rate: Some(100), ..GRANT };
        let plan = plan(asked(|p| (p.window, p.bandwidth) = (MAX_WINDOW + 1, 101)), &capped).unwrap();
        assert_eq!((plan.window, plan.send_rate), (MAX_WINDOW, Some(100)));
        let keys: Vec<_> = plan.clamped.iter().map(|clamp| clamp.key).collect();
        assert_eq!(keys, ["bandwidth", "window"]);
    }

    #[test]
    fn block_sizes_are_exact_where_they_can_be_seen() {
        let exact = |length| plan(asked(|p| p.length = length), &GRANT).unwrap().exact_length;
        assert!(exact(EXACT_BELOW - 1) && !exact(EXACT_BELOW));
        assert!(
            plan(asked(|p| (p.transport, p.length) = (Transport::Udp, 65_507)), &UDP).unwrap().exact_length
        );
    }
}
