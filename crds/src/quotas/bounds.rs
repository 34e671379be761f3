//! The bounds of every quota. The schema, the validator and the configuration file of a reflector hold to these.

use std::time::Duration;

/// Longest test: an appliance measures for seconds; five minutes of a full link are a bill.
pub const MAX_TEST_DURATION: Duration = Duration::from_secs(300);
/// Most sessions at one time; each may hold ports and threads.
pub const MAX_CONCURRENT_TESTS: u32 = 64;
/// Most grants an hour; each is a durable record for an hour.
pub const MAX_TESTS_PER_HOUR: u32 = 10_000;
/// Largest byte or bit amount an object can hold.
pub const MAX_BYTE_AMOUNT: u64 = i64::MAX as u64;
/// Longest pause between tests; a longer one is a suspension.
pub const MAX_COOLDOWN: Duration = Duration::from_secs(86_400);
/// Most parallel streams; iperf3 itself stops at 128.
pub const MAX_STREAMS: u32 = 128;
/// Most echo packets a second; above that it is no latency probe any more.
pub const MAX_ECHO_PPS: u32 = 100_000;
/// Lowest rate: below it not one packet a second leaves.
pub const MIN_RATE: u64 = 12_000;
