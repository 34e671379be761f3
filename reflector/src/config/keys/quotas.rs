//! `[quotas]` and `[iperf3]`: how much each peer may use, and with how many streams.

use super::key::{key, or};
use super::{
    Key, MAX_AMOUNT, MAX_CONCURRENT_TESTS, MAX_COOLDOWN_SECONDS, MAX_ECHO_PPS, MAX_STREAMS, MAX_TEST_SECONDS,
    MAX_TESTS_PER_HOUR, MIN_RATE_BITS,
};
use crate::config::slot::Slot;

pub(super) static KEYS: &[Key] = &[
    key(
        "quotas",
        "max_test_duration_sec",
        Slot::U64(|d| &mut d.config.quotas.max_test_duration_sec, 1..=MAX_TEST_SECONDS),
        "60",
        "Longest test granted, in seconds. Longer requests are shortened.",
    ),
    key(
        "quotas",
        "max_concurrent_tests",
        Slot::U32(|d| &mut d.config.quotas.max_concurrent_tests, 1..=MAX_CONCURRENT_TESTS),
        "1",
        "Tests of all peers together at one time.",
    ),
    key(
        "quotas",
        "max_tests_per_hour_per_peer",
        Slot::U32(|d| &mut d.config.quotas.max_tests_per_hour_per_peer, 1..=MAX_TESTS_PER_HOUR),
        "10",
        "Tests of one peer in any 3600 seconds. Upload and download of one speed test count once.",
    ),
    or(
        key(
            "quotas",
            "max_bytes_per_day_per_peer",
            Slot::MaybeU64(|d| &mut d.config.quotas.max_bytes_per_day_per_peer, 1..=MAX_AMOUNT),
            "5000000000",
            "Bytes of one peer in a UTC day, both directions. A running test is cut there.",
        ),
        "5 GB on wan, hybrid and unknown, unlimited on lan",
    ),
    or(
        key(
            "quotas",
            "max_rate",
            Slot::MaybeU64(|d| &mut d.config.quotas.max_rate, MIN_RATE_BITS..=MAX_AMOUNT),
            "500000000",
            "Bits per second a test may move.",
        ),
        "not set: no cap",
    ),
    key(
        "quotas",
        "cooldown_sec",
        Slot::U64(|d| &mut d.config.quotas.cooldown_sec, 0..=MAX_COOLDOWN_SECONDS),
        "5",
        "Seconds a peer waits after a test. Not between the two halves of a speed test.",
    ),
    key(
        "quotas",
        "allow_udp_echo",
        Slot::Bool(|d| &mut d.config.quotas.allow_udp_echo),
        "true",
        "UDP echo tests may run.",
    ),
    key(
        "quotas",
        "allow_throughput",
        Slot::Bool(|d| &mut d.config.quotas.allow_throughput),
        "true",
        "Throughput tests may run.",
    ),
    key(
        "quotas",
        "max_echo_pps",
        Slot::U32(|d| &mut d.config.quotas.max_echo_pps, 1..=MAX_ECHO_PPS),
        "10000",
        "Echo packets per second.",
    ),
    key(
        "quotas",
        "windows",
        Slot::Windows,
        r#"[{ schedule = "0 22 * * *", duration = "8h", time_zone = "Europe/Paris", effect = "deny" }]"#,
        "Times in which tests are denied (effect deny), or outside of which they are (allow). In the file: [[quotas.windows]].",
    ),
    key(
        "iperf3",
        "path",
        Slot::Text(|d| &mut d.config.iperf3.path),
        r#""iperf3""#,
        "Accepted for compatibility and ignored: the engine is part of this program.",
    ),
    key(
        "iperf3",
        "default_streams",
        Slot::U32(|d| &mut d.config.iperf3.default_streams, 1..=MAX_STREAMS),
        "4",
        "Streams of a test whose request names none.",
    ),
    key(
        "iperf3",
        "max_streams",
        Slot::U32(|d| &mut d.config.iperf3.max_streams, 1..=MAX_STREAMS),
        "8",
        "Most streams a test may use.",
    ),
];
