//! The bounds of values. What an object may say, the file may say, and no more: bounds that `crds` has are taken from there.

use crds::peer;

/// Longest test anyone may ask for: a reflector is shared.
pub const MAX_TEST_SECONDS: u64 = peer::MAX_TEST_DURATION.as_secs();
/// Most sessions at one time: the streams of each take places of those reserved for known appliances.
pub const MAX_CONCURRENT_TESTS: u64 = peer::MAX_CONCURRENT_TESTS as u64;
/// Most grants an hour: the ledger remembers each of them for an hour.
pub const MAX_TESTS_PER_HOUR: u64 = peer::MAX_TESTS_PER_HOUR as u64;
/// Most bytes a day, and bits a second: what a TOML integer can hold.
pub const MAX_AMOUNT: u64 = i64::MAX as u64;
/// Below this a paced test moves less than one packet a second, and measures the pacing.
pub const MIN_RATE_BITS: u64 = peer::MIN_RATE;
/// Longest pause between tests: a day, after which the daily quota is the better tool.
pub const MAX_COOLDOWN_SECONDS: u64 = peer::MAX_COOLDOWN.as_secs();
/// Most echo packets a second: beyond it one flow needs a core for itself.
pub const MAX_ECHO_PPS: u64 = peer::MAX_ECHO_PPS as u64;
/// Most streams in a test: iperf3's own limit.
pub const MAX_STREAMS: u64 = peer::MAX_STREAMS as u64;
/// Longest lease on the last accepted policy: a revocation must not be missed for more than a month.
pub const MAX_OFFLINE_GRACE_SECONDS: u64 = 30 * 86_400;
