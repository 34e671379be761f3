//! From [`Quotas`] to [`ValidQuotas`].

use std::time::Duration;

use crate::check::Check;
use crate::problem::shortened;

use super::bounds::{
    MAX_CONCURRENT_TESTS, MAX_COOLDOWN, MAX_ECHO_PPS, MAX_STREAMS, MAX_TEST_DURATION, MAX_TESTS_PER_HOUR,
    MIN_RATE,
};
use super::spec::{Quotas, TestType};

/// Limits that need no further checks. `None` follows the reflector's, and there the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidQuotas {
    /// Longest test granted.
    pub max_test_duration: Option<Duration>,
    /// Own sessions at one time.
    pub max_concurrent_tests: Option<u32>,
    /// Grants in any 3600 s.
    pub tests_per_hour: Option<u32>,
    /// Bytes a UTC day.
    pub bytes_per_day: Option<u64>,
    /// Pause between tests.
    pub cooldown: Option<Duration>,
    /// Whether throughput tests may run; set together with the next.
    pub allow_throughput: Option<bool>,
    /// Whether echo tests may run.
    pub allow_udp_echo: Option<bool>,
    /// Most streams.
    pub max_streams: Option<u32>,
    /// Most echo packets a second.
    pub max_echo_pps: Option<u32>,
    /// Bits a second.
    pub max_rate: Option<u64>,
}

impl Check {
    /// Checks all limits. `root` is where they stand, such as `spec.quotas`.
    pub(crate) fn quotas(&mut self, root: &str, q: &Quotas) -> ValidQuotas {
        let at = |field: &str| format!("{root}.{field}");
        let second = Duration::from_secs(1);
        let allowed = self.allowed_tests(&at("allowedTests"), q.allowed_tests.as_deref());
        ValidQuotas {
            max_test_duration: self.duration(
                &at("maxTestDuration"),
                q.max_test_duration.as_ref(),
                second,
                MAX_TEST_DURATION,
                "1s to 300s",
            ),
            max_concurrent_tests: self.whole(
                &at("maxConcurrentTests"),
                q.max_concurrent_tests,
                1,
                MAX_CONCURRENT_TESTS,
            ),
            tests_per_hour: self.whole(&at("testsPerHour"), q.tests_per_hour, 1, MAX_TESTS_PER_HOUR),
            bytes_per_day: self.amount(&at("bytesPerDay"), q.bytes_per_day.as_ref(), 1),
            cooldown: self.duration(
                &at("cooldown"),
                q.cooldown.as_ref(),
                Duration::ZERO,
                MAX_COOLDOWN,
                "0s to 24h",
            ),
            allow_throughput: allowed.map(|(throughput, _)| throughput),
            allow_udp_echo: allowed.map(|(_, echo)| echo),
            max_streams: self.whole(&at("maxStreams"), q.max_streams, 1, MAX_STREAMS),
            max_echo_pps: self.whole(&at("maxEchoPps"), q.max_echo_pps, 1, MAX_ECHO_PPS),
            max_rate: self.amount(&at("maxRate"), q.max_rate.as_ref(), MIN_RATE),
        }
    }

    fn allowed_tests(&mut self, path: &str, tests: Option<&[TestType]>) -> Option<(bool, bool)> {
        let tests = tests?;
        if tests.is_empty() {
            self.problem(
                path,
                "is empty: list Throughput, UdpEcho or both; to allow none, write suspend: true",
            );
        }
        for test in tests {
            if let TestType::Unknown(name) = test {
                self.problem(path, format!("cannot hold {:?}: write Throughput or UdpEcho", shortened(name)));
            }
        }
        let (throughput, echo) = (tests.contains(&TestType::Throughput), tests.contains(&TestType::UdpEcho));
        if tests.len() > usize::from(throughput) + usize::from(echo)
            && self.problems.iter().all(|p| p.path != path)
        {
            self.problem(path, "lists a test twice: write each once");
        }
        Some((throughput, echo))
    }
}
