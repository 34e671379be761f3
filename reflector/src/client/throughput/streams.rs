//! What the parameters mean for each stream. Pure.

use super::Setup;
use crate::engine::iperf::Parameters;
use crate::engine::streams::{Pace, TcpSource, UdpSink, UdpSource};

/// Above this rate a datagram a time costs more than it tells: trains are taken in one piece.
const TRAINS_ABOVE_BITS: u64 = 2_000_000_000;

/// Bytes after which the test is over; 0: time decides.
pub(super) fn total(parameters: &Parameters) -> u64 {
    if parameters.bytes > 0 {
        parameters.bytes
    } else {
        parameters.blocks.saturating_mul(u64::from(parameters.length))
    }
}

pub(super) fn tcp_source(setup: &Setup) -> TcpSource {
    let parameters = &setup.parameters;
    TcpSource {
        block: usize::try_from(parameters.length).ok(),
        pace: pace(parameters),
        fq_rate: (parameters.fair_queue_rate > 0).then_some(parameters.fair_queue_rate),
        // A receiver that copies is slower with it from two streams on.
        by_reference: setup.peer_discards || parameters.streams() == 1,
    }
}

pub(super) fn udp_source(setup: &Setup) -> UdpSource {
    let parameters = &setup.parameters;
    UdpSource { length: length(parameters), wide: parameters.wide_counters, pace: pace(parameters) }
}

pub(super) fn udp_sink(setup: &Setup) -> UdpSink {
    let parameters = &setup.parameters;
    let trains = parameters.bandwidth == 0 || parameters.bandwidth > TRAINS_ABOVE_BITS;
    UdpSink { length: length(parameters), wide: parameters.wide_counters, trains, buffer: None }
}

fn length(parameters: &Parameters) -> usize {
    usize::try_from(parameters.length).unwrap_or(0)
}

fn pace(parameters: &Parameters) -> Option<Pace> {
    (parameters.bandwidth > 0)
        .then_some(Pace { bits_per_second: parameters.bandwidth, burst: parameters.burst })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(parameters: Parameters, peer_discards: bool) -> Setup {
        Setup { parameters, local: None, peer_discards }
    }

    #[test]
    fn bytes_win_over_blocks_and_neither_means_time() {
        assert_eq!(total(&Parameters::default()), 0);
        let blocks = Parameters { blocks: 3, length: 1000, ..Parameters::default() };
        assert_eq!(total(&blocks), 3000);
        assert_eq!(total(&Parameters { bytes: 7, ..blocks }), 7);
    }

    #[test]
    fn pages_are_sent_by_reference_where_that_does_not_slow_the_receiver() {
        for (parallel, discards, by_reference) in [(1, false, true), (2, false, false), (2, true, true)] {
            let setup = setup(Parameters { parallel, ..Parameters::default() }, discards);
            assert_eq!(tcp_source(&setup).by_reference, by_reference);
        }
    }

    #[test]
    fn datagrams_are_taken_one_by_one_unless_they_come_very_fast() {
        for (bandwidth, trains) in [(0, true), (20_000_000, false), (3_000_000_000, true)] {
            let setup = setup(Parameters { bandwidth, length: 1400, ..Parameters::default() }, true);
            assert_eq!(udp_sink(&setup).trains, trains);
            assert_eq!(udp_source(&setup).pace.is_some(), bandwidth > 0);
        }
    }
}
