//! A peer's own limits over the reflector's over the defaults, field by field.

use std::sync::Arc;
use std::time::Duration;

use crds::EndpointId;
use crds::peer::ValidPeer;

use crate::config;
use crate::network::Position;

use super::policy::{Policy, Quotas};
use super::windows::Window;

/// Bytes a day for a reflector that may be metered, when nobody said anything: two appliance tests on a fast line,
/// not a surprise bill.
pub const DEFAULT_BYTES_PER_DAY: u64 = 5_000_000_000;

/// What holds for every peer of this reflector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReflectorPolicy {
    /// Limits of a peer that sets none itself.
    pub quotas: Quotas,
    /// Sessions of all peers together at one time.
    pub total_concurrent_tests: u32,
    /// When tests may or may not run.
    pub windows: Arc<[Window]>,
    /// Denies every test, keeps connections.
    pub suspended: bool,
}

impl ReflectorPolicy {
    /// The policy of a stand-alone reflector. `position` is where it stands in the network, as set or detected:
    /// without an explicit byte limit only a reflector on the LAN is unlimited.
    pub fn from_config(quotas: &config::Quotas, iperf3: &config::Iperf3, position: Position) -> Self {
        let unset = position.may_be_metered().then_some(DEFAULT_BYTES_PER_DAY);
        Self {
            quotas: Quotas {
                max_test_duration: Duration::from_secs(quotas.max_test_duration_sec),
                max_concurrent_tests: quotas.max_concurrent_tests,
                tests_per_hour: quotas.max_tests_per_hour_per_peer,
                bytes_per_day: quotas.max_bytes_per_day_per_peer.or(unset),
                bytes_per_day_on_loopback: quotas.max_bytes_per_day_per_peer,
                cooldown: Duration::from_secs(quotas.cooldown_sec),
                allow_throughput: quotas.allow_throughput,
                allow_udp_echo: quotas.allow_udp_echo,
                default_streams: iperf3.default_streams,
                max_streams: iperf3.max_streams,
                max_echo_pps: quotas.max_echo_pps,
                max_rate: quotas.max_rate,
            },
            total_concurrent_tests: quotas.max_concurrent_tests,
            windows: quotas.windows.clone().into(),
            suspended: false,
        }
    }

    /// The policy of one peer object.
    pub fn for_peer(&self, peer: &ValidPeer) -> Policy {
        let (own, base) = (&peer.quotas, &self.quotas);
        let max_streams = own.max_streams.unwrap_or(base.max_streams);
        Policy {
            peer: peer.name.as_str().into(),
            display_name: peer.display_name.as_deref().map(Into::into),
            quotas: Quotas {
                max_test_duration: own.max_test_duration.unwrap_or(base.max_test_duration),
                max_concurrent_tests: own.max_concurrent_tests.unwrap_or(base.max_concurrent_tests),
                tests_per_hour: own.tests_per_hour.unwrap_or(base.tests_per_hour),
                bytes_per_day: own.bytes_per_day.or(base.bytes_per_day),
                bytes_per_day_on_loopback: own.bytes_per_day.or(base.bytes_per_day_on_loopback),
                cooldown: own.cooldown.unwrap_or(base.cooldown),
                allow_throughput: own.allow_throughput.unwrap_or(base.allow_throughput),
                allow_udp_echo: own.allow_udp_echo.unwrap_or(base.allow_udp_echo),
                default_streams: base.default_streams.min(max_streams),
                max_streams,
                max_echo_pps: own.max_echo_pps.unwrap_or(base.max_echo_pps),
                max_rate: own.max_rate.or(base.max_rate),
            },
            total_concurrent_tests: self.total_concurrent_tests,
            windows: Arc::clone(&self.windows),
            expires_at: peer.expires_at,
            reflector_suspended: self.suspended,
        }
    }

    /// The policy of the reflector's own attempt at itself, which counts for nobody: no limit and no window, since neither is a
    /// fault. What is said of everybody else holds for it too.
    pub fn for_rehearsal(&self) -> Policy {
        let none = Quotas {
            max_test_duration: Duration::from_secs(1),
            max_concurrent_tests: u32::MAX,
            tests_per_hour: u32::MAX,
            bytes_per_day: None,
            bytes_per_day_on_loopback: None,
            cooldown: Duration::ZERO,
            allow_throughput: true,
            allow_udp_echo: true,
            default_streams: 1,
            max_streams: 1,
            max_echo_pps: 0,
            max_rate: None,
        };
        Policy {
            peer: "itself".into(),
            display_name: None,
            quotas: none,
            total_concurrent_tests: u32::MAX,
            windows: Arc::from([]),
            expires_at: None,
            reflector_suspended: self.suspended,
        }
    }

    /// The policy of an ID that stands in the configuration file: the reflector's, unchanged.
    pub fn for_configured(&self, id: &EndpointId) -> Policy {
        Policy {
            peer: configured_name(id).into(),
            display_name: None,
            quotas: self.quotas.clone(),
            total_concurrent_tests: self.total_concurrent_tests,
            windows: Arc::clone(&self.windows),
            expires_at: None,
            reflector_suspended: self.suspended,
        }
    }
}

/// What an ID from the configuration file is called where a name is needed.
pub fn configured_name(id: &EndpointId) -> String {
    format!("config-{}", id.short().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{peer, reflector};
    use super::*;

    #[test]
    fn a_peer_without_limits_follows_the_reflector() {
        let base = reflector();
        let policy = base.for_peer(&peer("attic").endpoint(1).valid());
        assert_eq!(policy.quotas, base.quotas);
        assert_eq!(policy.total_concurrent_tests, base.total_concurrent_tests);
    }

    #[test]
    fn each_limit_of_a_peer_replaces_its_own_field_only() {
        let base = reflector();
        let own = |yaml: &str| base.for_peer(&peer("attic").endpoint(1).quotas(yaml).valid()).quotas;
        let changed = |change: &dyn Fn(&mut Quotas)| {
            let mut quotas = base.quotas.clone();
            change(&mut quotas);
            quotas
        };
        assert_eq!(
            own("{ maxTestDuration: 44s }"),
            changed(&|q| q.max_test_duration = Duration::from_secs(44))
        );
        assert_eq!(own("{ maxConcurrentTests: 5 }"), changed(&|q| q.max_concurrent_tests = 5));
        assert_eq!(own("{ testsPerHour: 99 }"), changed(&|q| q.tests_per_hour = 99));
        let seven = Some(7_000_000_000);
        assert_eq!(
            own("{ bytesPerDay: 7G }"),
            changed(&|q| (q.bytes_per_day, q.bytes_per_day_on_loopback) = (seven, seven))
        );
        assert_eq!(own("{ cooldown: 1s }"), changed(&|q| q.cooldown = Duration::from_secs(1)));
        assert_eq!(own("{ allowedTests: [UdpEcho] }"), changed(&|q| q.allow_throughput = false));
        assert_eq!(own("{ allowedTests: [Throughput] }"), changed(&|q| q.allow_udp_echo = false));
        assert_eq!(own("{ maxStreams: 16 }"), changed(&|q| q.max_streams = 16));
        assert_eq!(own("{ maxEchoPps: 77 }"), changed(&|q| q.max_echo_pps = 77));
        assert_eq!(own("{ maxRate: 600M }"), changed(&|q| q.max_rate = Some(600_000_000)));
    }

    /// P10: the default is about metered lines; a limit somebody set holds wherever the peer comes from.
    #[test]
    fn over_loopback_only_a_byte_limit_that_was_set_holds() {
        let (lan, here) = ("192.168.1.7".parse().unwrap(), "127.0.0.1".parse().unwrap());
        let limits = |set: Option<u64>, position, yaml: &str| {
            let mut config = config::Config::default();
            config.quotas.max_bytes_per_day_per_peer = set;
            let base = ReflectorPolicy::from_config(&config.quotas, &config.iperf3, position);
            let policy = Arc::new(base.for_peer(&peer("attic").endpoint(1).quotas(yaml).valid()));
            (policy.seen_from(lan).quotas.bytes_per_day, policy.seen_from(here).quotas.bytes_per_day)
        };
        assert_eq!(limits(None, Position::Wan, "{}"), (Some(DEFAULT_BYTES_PER_DAY), None));
        assert_eq!(limits(None, Position::Lan, "{}"), (None, None));
        assert_eq!(limits(Some(7), Position::Wan, "{}"), (Some(7), Some(7)));
        let nine = Some(9_000_000_000);
        assert_eq!(limits(None, Position::Wan, "{ bytesPerDay: 9G }"), (nine, nine));
        assert_eq!(limits(Some(7), Position::Lan, "{ bytesPerDay: 9G }"), (nine, nine));
    }

    #[test]
    fn the_default_number_of_streams_never_exceeds_the_most() {
        let quotas =
            reflector().for_peer(&peer("attic").endpoint(1).quotas("{ maxStreams: 2 }").valid()).quotas;
        assert_eq!((quotas.default_streams, quotas.max_streams), (2, 2));
    }
}
