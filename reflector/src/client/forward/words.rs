//! What a person is told of a test, a line each. Pure.

use super::ask::Wanted;
use crate::link::message::{SessionGrant, SessionResult};
use crate::reason::EndReason;

pub(super) fn began(wanted: &Wanted, grant: &SessionGrant) -> String {
    let protocol = if wanted.udp { "UDP" } else { "TCP" };
    let way = match (wanted.up, wanted.streams) {
        (0, _) => "down",
        (up, all) if up < all => "both ways",
        _ => "up",
    };
    let asked = wanted.session.duration_sec;
    let granted = grant.duration_sec.unwrap_or(asked);
    let cut = if granted < asked { format!(" (asked for {asked} s; it ends there)") } else { String::new() };
    let streams = wanted.session.streams.unwrap_or(1);
    let plural = if streams == 1 { "" } else { "s" };
    format!("test {}: {protocol} {way}, {streams} stream{plural}, {granted} s{cut}, tunneled", grant.test_id)
}

/// Whose loss it was that iperf3 reports.
pub fn dropped(count: u64) -> String {
    let (s, were) = if count == 1 { ("", "was") } else { ("s", "were") };
    format!(
        "{count} datagram{s} {were} dropped in this host's queue, not by the network: a lower -b loses fewer"
    )
}

pub(super) fn ended(result: &SessionResult) -> String {
    let SessionResult { test_id, end_reason, bytes, .. } = result;
    let why = match end_reason {
        EndReason::Completed => "completed".to_owned(),
        other => format!("ended early: {other}"),
    };
    format!("test {test_id}: {why}, {bytes} bytes")
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_loss_it_was_is_said_of_one_and_of_many() {
        assert!(dropped(1).starts_with("1 datagram was dropped in this host's queue, not by the network"));
        assert!(dropped(177_119).starts_with("177119 datagrams were dropped in this host's queue"));
    }
}
