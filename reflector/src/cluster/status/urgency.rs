//! What is worth a write, and how soon.

use crds::peer::{PeerReflectorStatus, Usage};

use super::subject::Report;

/// How soon a change is written. The greater goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Numbers for people: at most once a minute.
    Numbers,
    /// A peer is denied, or waits for its appliance: nobody stands before a door that has just opened.
    Denial,
    /// A peer is in force as it was written.
    Load,
    /// How the reflector stands.
    Standing,
    /// A peer is shut out.
    Revocation,
    /// An appliance stands there and waits.
    Claim,
}

impl Urgency {
    /// Whether it is written at once.
    pub fn at_once(self) -> bool {
        self != Self::Numbers
    }
}

/// What `wanted` says that is not `there` yet; `None`: nothing is to be written.
pub fn of(there: Option<&Report>, wanted: &Report) -> Option<Urgency> {
    match (there, wanted) {
        (Some(Report::Own(there)), Report::Own(wanted)) => {
            if wanted.decides_like(there) {
                (!wanted.shows_like(there)).then_some(Urgency::Numbers)
            } else {
                Some(Urgency::Standing)
            }
        }
        (Some(Report::Peer(there)), Report::Peer(wanted)) => entry(&there.entry, &wanted.entry),
        (_, Report::Own(_)) => Some(Urgency::Standing),
        (_, Report::Peer(wanted)) => entry(&PeerReflectorStatus::default(), &wanted.entry),
    }
}

fn entry(there: &PeerReflectorStatus, wanted: &PeerReflectorStatus) -> Option<Urgency> {
    if wanted.claim != there.claim {
        return Some(Urgency::Claim);
    }
    if wanted.revocation != there.revocation {
        return Some(Urgency::Revocation);
    }
    if wanted.loaded_generation != there.loaded_generation
        || wanted.loaded_endpoint_id != there.loaded_endpoint_id
    {
        // However many are denied, whoever is let in does not wait for that to be said.
        return Some(if wanted.loaded_endpoint_id.is_some() { Urgency::Load } else { Urgency::Denial });
    }
    let same = wanted.last_seen == there.last_seen
        && wanted.last_address == there.last_address
        && wanted.last_test == there.last_test
        && wanted.pairing == there.pairing
        && tells_the_same(there.usage.as_ref(), wanted.usage.as_ref());
    (!same).then_some(Urgency::Numbers)
}

/// Numbers are valid for their day: that another day began, with nothing used, is no news.
fn tells_the_same(there: Option<&Usage>, wanted: Option<&Usage>) -> bool {
    match (there, wanted) {
        (Some(there), Some(wanted)) => there == wanted || (wanted.day != there.day && is_unused(wanted)),
        (there, wanted) => there == wanted,
    }
}

fn is_unused(usage: &Usage) -> bool {
    [usage.tests_today, usage.bytes_today, usage.denied_today].iter().all(|n| n.unwrap_or(0) == 0)
}

#[cfg(test)]
mod tests {
    use crds::peer::{Claim, Revocation};

    use super::super::tests::{own_facts, own_report, peer_report};
    use super::*;

    fn entry(change: impl FnOnce(&mut PeerReflectorStatus)) -> Report {
        peer_report(change)
    }

    /// One row per field: what a change of it is worth.
    #[test]
    fn each_field_of_a_peers_entry_has_its_urgency() {
        let there = entry(|_| {});
        let other = |change: fn(&mut PeerReflectorStatus)| of(Some(&there), &entry(change));
        assert_eq!(other(|_| {}), None);
        assert_eq!(other(|e| e.claim = Some(Claim::default())), Some(Urgency::Claim));
        assert_eq!(other(|e| e.revocation = Some(Revocation::default())), Some(Urgency::Revocation));
        assert_eq!(other(|e| e.loaded_generation = Some(99)), Some(Urgency::Load));
        assert_eq!(other(|e| e.loaded_endpoint_id = None), Some(Urgency::Denial));
        assert_eq!(other(|e| e.last_seen = None), Some(Urgency::Numbers));
        assert_eq!(other(|e| e.last_address = None), Some(Urgency::Numbers));
        assert_eq!(other(|e| e.last_test = None), Some(Urgency::Numbers));
        assert_eq!(other(|e| e.pairing = None), Some(Urgency::Numbers));
        assert_eq!(other(|e| e.usage = None), Some(Urgency::Numbers));
    }

    #[test]
    fn each_field_of_the_reflectors_part_has_its_urgency() {
        let there = own_report(|_| {});
        let other = |change: fn(&mut super::super::OwnFacts)| of(Some(&there), &own_report(change));
        assert_eq!(other(|_| {}), None);
        assert_eq!(other(|f| f.pod_uid = None), Some(Urgency::Standing));
        assert_eq!(other(|f| f.version.push('x')), Some(Urgency::Standing));
        assert_eq!(other(|f| f.policy_generation = None), Some(Urgency::Standing));
        assert_eq!(other(|f| f.accepting = f.policy_current.clone()), Some(Urgency::Standing));
        assert_eq!(other(|f| f.active_tests += 1), Some(Urgency::Numbers));
        assert_eq!(other(|f| f.network_position.push('x')), Some(Urgency::Numbers));
        assert_eq!(other(|f| f.self_test = None), Some(Urgency::Numbers));
        assert_eq!(of(None, &there), Some(Urgency::Standing));
        assert_eq!(own_facts().active_tests, 2);
    }

    /// A bare entry that the operator made is filled at once.
    #[test]
    fn a_peer_that_was_never_reported_is_a_load() {
        assert_eq!(of(None, &entry(|_| {})), Some(Urgency::Revocation));
        let calm = entry(|e| (e.revocation, e.claim) = (None, None));
        assert_eq!(of(None, &calm), Some(Urgency::Load));
    }

    #[test]
    fn midnight_alone_is_no_news_and_the_first_use_of_the_new_day_is() {
        let yesterday = entry(|_| {});
        let day = |tests| {
            entry(move |e| {
                let usage = e.usage.get_or_insert_default();
                *usage = Usage {
                    tests_today: Some(tests),
                    bytes_today: Some(0),
                    bytes_remaining: Some(5_000),
                    denied_today: Some(0),
                    day: Some("2026-11-22".into()),
                };
            })
        };
        assert_eq!(of(Some(&yesterday), &day(0)), None);
        assert_eq!(of(Some(&yesterday), &day(1)), Some(Urgency::Numbers));
    }

    #[test]
    fn whoever_waits_goes_first() {
        use Urgency::{Claim, Denial, Load, Numbers, Revocation, Standing};
        let order = [Numbers, Denial, Load, Standing, Revocation, Claim];
        assert!(order.is_sorted());
        assert!(!Numbers.at_once() && order[1..].iter().all(|urgency| urgency.at_once()));
    }
}
