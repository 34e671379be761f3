//! What the members of a fleet counted, as one number each.

use crds::peer::{LastTest, PeerReflectorStatus, Usage};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// All members together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) usage: Option<Usage>,
    pub(super) last_seen: Option<Time>,
    pub(super) last_test: Option<LastTest>,
}

/// Adds up the newest day there is; a member that has not counted on it has used nothing of it.
pub(super) fn sum<'a>(members: impl Iterator<Item = &'a PeerReflectorStatus> + Clone) -> Sum {
    let all = members.clone().filter_map(|member| member.usage.as_ref());
    let day = all.clone().filter_map(|usage| usage.day.clone()).max();
    let of_day: Vec<&Usage> = all.filter(|usage| usage.day == day).collect();
    let add = |field: fn(&Usage) -> Option<i64>| {
        of_day.iter().filter_map(|usage| field(usage)).reduce(i64::saturating_add)
    };
    // One without a limit makes the whole without one.
    let limited = of_day.iter().all(|usage| usage.bytes_remaining.is_some());
    let usage = (!of_day.is_empty()).then(|| Usage {
        tests_today: add(|usage| usage.tests_today),
        bytes_today: add(|usage| usage.bytes_today),
        bytes_remaining: add(|usage| usage.bytes_remaining).filter(|_| limited),
        denied_today: add(|usage| usage.denied_today),
        day,
    });
    let last_seen = members.clone().filter_map(|member| member.last_seen.clone()).max_by_key(|time| time.0);
    let tests = members.filter_map(|member| member.last_test.clone());
    let last_test = tests.max_by_key(|test| test.at.as_ref().map(|time| time.0));
    Sum { usage, last_seen, last_test }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::testing::yaml;

    fn sum_of(members: &str) -> Sum {
        let members: Vec<PeerReflectorStatus> = yaml(members);
        sum(members.iter())
    }

    #[test]
    fn a_fleets_numbers_are_the_sums_of_the_newest_day() {
        let sum = sum_of(
            "
- { name: a, lastSeen: '2026-01-02T03:00:00Z', usage: { testsToday: 1, bytesToday: 20, bytesRemaining: 300, deniedToday: 4, day: '2026-01-02' }, lastTest: { testId: old, at: '2026-01-02T02:00:00Z' } }
- { name: b, lastSeen: '2026-01-02T04:00:00Z', usage: { testsToday: 5, bytesToday: 60, bytesRemaining: 700, day: '2026-01-02' }, lastTest: { testId: new, at: '2026-01-02T03:30:00Z' } }
- { name: c, lastSeen: '2026-01-01T00:00:00Z', usage: { testsToday: 99, bytesToday: 99, bytesRemaining: 99, day: '2026-01-01' } }
- { name: d }
",
        );
        let usage = sum.usage.unwrap();
        assert_eq!(
            (usage.tests_today, usage.bytes_today, usage.bytes_remaining, usage.denied_today),
            (Some(6), Some(80), Some(1000), Some(4))
        );
        assert_eq!(usage.day.as_deref(), Some("2026-01-02"));
        assert_eq!(sum.last_seen.unwrap().0.to_string(), "2026-01-02T04:00:00Z");
        assert_eq!(sum.last_test.unwrap().test_id.as_deref(), Some("new"));
    }

    #[test]
    fn one_member_without_a_limit_makes_the_sum_unlimited_and_no_member_makes_none() {
        let sum = sum_of(
            "
- { name: a, usage: { bytesToday: 9223372036854775807, bytesRemaining: 1, day: '2026-01-02' } }
- { name: b, usage: { bytesToday: 1, day: '2026-01-02' } }
",
        );
        let usage = sum.usage.unwrap();
        assert_eq!((usage.bytes_today, usage.bytes_remaining), (Some(i64::MAX), None));
        assert_eq!(sum_of("[]"), Sum::default());
    }
}
