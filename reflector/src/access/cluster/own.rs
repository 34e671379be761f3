//! From our Reflector's spec to the policy of every peer: what it says over the defaults, field by field. Pure.

use crds::reflector::{ValidReflector, ValidWindow, WindowEffect};

use crate::access::effective::ReflectorPolicy;
use crate::access::policy::Quotas;
use crate::access::windows::{Effect, Window};

/// The policy a Reflector states. `base` is what holds where it says nothing. Fails on a window that cannot be kept to:
/// without it tests would run when somebody said they must not.
pub(super) fn policy(valid: &ValidReflector, base: &ReflectorPolicy) -> Result<ReflectorPolicy, String> {
    let (own, base_quotas) = (&valid.quotas, &base.quotas);
    let max_streams = own.max_streams.unwrap_or(base_quotas.max_streams);
    let windows: Result<Vec<Window>, String> = valid.windows.iter().map(window).collect();
    Ok(ReflectorPolicy {
        quotas: Quotas {
            max_test_duration: own.max_test_duration.unwrap_or(base_quotas.max_test_duration),
            max_concurrent_tests: own.max_concurrent_tests.unwrap_or(base_quotas.max_concurrent_tests),
            tests_per_hour: own.tests_per_hour.unwrap_or(base_quotas.tests_per_hour),
            bytes_per_day: own.bytes_per_day.or(base_quotas.bytes_per_day),
            bytes_per_day_on_loopback: own.bytes_per_day.or(base_quotas.bytes_per_day_on_loopback),
            cooldown: own.cooldown.unwrap_or(base_quotas.cooldown),
            allow_throughput: own.allow_throughput.unwrap_or(base_quotas.allow_throughput),
            allow_udp_echo: own.allow_udp_echo.unwrap_or(base_quotas.allow_udp_echo),
            default_streams: base_quotas.default_streams.min(max_streams),
            max_streams,
            max_echo_pps: own.max_echo_pps.unwrap_or(base_quotas.max_echo_pps),
            max_rate: own.max_rate.or(base_quotas.max_rate),
        },
        total_concurrent_tests: own.max_concurrent_tests.unwrap_or(base.total_concurrent_tests),
        windows: windows?.into(),
        suspended: valid.suspended,
    })
}

fn window(valid: &ValidWindow) -> Result<Window, String> {
    let effect = match valid.effect {
        WindowEffect::Deny => Effect::Deny,
        WindowEffect::Allow => Effect::Allow,
        WindowEffect::Unknown(_) => {
            return Err("spec.windows has an effect this release does not know".to_owned());
        }
    };
    Window::new(&valid.schedule, valid.duration, Some(&valid.time_zone), effect)
        .map_err(|error| format!("spec.windows: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::objects::{self, Read};
    use super::*;
    use crate::access::fixtures::reflector;

    fn stated(spec: &serde_json::Value) -> ReflectorPolicy {
        let object = json!({
            "apiVersion": "packetparamedic.io/v1alpha1", "kind": "Reflector",
            "metadata": { "name": "attic", "uid": "u-1", "generation": 3 }, "spec": spec,
        });
        let Read::Held(held) = objects::reflector(&object).unwrap() else { panic!("it is absent") };
        policy(&held.valid, &reflector()).unwrap()
    }

    #[test]
    fn a_reflector_that_says_nothing_follows_the_defaults() {
        assert_eq!(stated(&json!({})), reflector());
    }

    #[test]
    fn each_limit_of_a_reflector_replaces_its_own_field_only() {
        let with = |change: &dyn Fn(&mut ReflectorPolicy)| {
            let mut policy = reflector();
            change(&mut policy);
            policy
        };
        let quotas = |quotas: serde_json::Value| stated(&json!({ "quotas": quotas }));
        let seconds = Duration::from_secs;
        assert_eq!(
            quotas(json!({ "maxTestDuration": "44s" })),
            with(&|p| p.quotas.max_test_duration = seconds(44))
        );
        assert_eq!(
            quotas(json!({ "maxConcurrentTests": 5 })),
            with(&|p| (p.quotas.max_concurrent_tests, p.total_concurrent_tests) = (5, 5))
        );
        assert_eq!(quotas(json!({ "testsPerHour": 99 })), with(&|p| p.quotas.tests_per_hour = 99));
        let seven = Some(7_000_000_000);
        assert_eq!(
            quotas(json!({ "bytesPerDay": "7G" })),
            with(&|p| (p.quotas.bytes_per_day, p.quotas.bytes_per_day_on_loopback) = (seven, seven))
        );
        assert_eq!(quotas(json!({ "cooldown": "1s" })), with(&|p| p.quotas.cooldown = seconds(1)));
        assert_eq!(
            quotas(json!({ "allowedTests": ["UdpEcho"] })),
            with(&|p| p.quotas.allow_throughput = false)
        );
        assert_eq!(
            quotas(json!({ "allowedTests": ["Throughput"] })),
            with(&|p| p.quotas.allow_udp_echo = false)
        );
        assert_eq!(
            quotas(json!({ "maxStreams": 2 })),
            with(&|p| (p.quotas.max_streams, p.quotas.default_streams) = (2, 2))
        );
        assert_eq!(quotas(json!({ "maxEchoPps": 77 })), with(&|p| p.quotas.max_echo_pps = 77));
        assert_eq!(quotas(json!({ "maxRate": "600M" })), with(&|p| p.quotas.max_rate = Some(600_000_000)));
        assert_eq!(stated(&json!({ "suspend": true })), with(&|p| p.suspended = true));
    }

    /// G11
    #[test]
    fn windows_keep_their_schedule_length_zone_and_effect() {
        let windows = json!([
            { "schedule": "0 22 * * *", "duration": "8h", "timeZone": "Europe/Paris", "effect": "Deny" },
            { "schedule": "30 6 * * 1", "duration": "90m", "effect": "Allow" },
        ]);
        let expected = [
            Window::new("0 22 * * *", Duration::from_secs(8 * 3600), Some("Europe/Paris"), Effect::Deny)
                .unwrap(),
            Window::new("30 6 * * 1", Duration::from_secs(90 * 60), Some("UTC"), Effect::Allow).unwrap(),
        ];
        assert_eq!(*stated(&json!({ "windows": windows })).windows, expected);
    }
}
