//! From a self-test to what status says of the host. Pure.

use crds::reasons::ReflectorReason as Reason;
use crds::reflector::SelfTestStatus;
use jiff::Timestamp;

use crate::selftest::{Check, Report, Status, Verdict};

use super::condition::{Said, whole_seconds};

/// Checks named in a message. The worst come first, and three are as many as anybody mends at once.
/// Test: `a_message_names_three_culprits_at_most`.
const MOST_NAMED: usize = 3;

/// What is known of the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardware {
    /// The numbers, once there are some.
    pub self_test: Option<SelfTestStatus>,
    /// The condition `HardwareReady`.
    pub ready: Said,
}

impl Hardware {
    /// Nothing yet.
    pub fn untested() -> Self {
        Self { self_test: None, ready: Said::unknown(Reason::NotTested, "") }
    }

    /// What a self-test found that ended at `at`.
    pub fn found(report: &Report, at: Timestamp) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "Mbit/s, far below 2^52")]
        let estimated_max_mbps = report.estimated_max_mbps.map(|mbps| mbps as f64);
        Self {
            self_test: Some(SelfTestStatus {
                verdict: Some(report.verdict.as_str().to_owned()),
                estimated_max_mbps,
                tunnel_tax: report.tunnel_tax,
                last_run: Some(whole_seconds(at)),
            }),
            ready: ready(report),
        }
    }

    /// It did not end in time. What an earlier one found stands beside it.
    #[must_use]
    pub fn hung(self, seconds: u64) -> Self {
        let why = format!("The last self-test did not end within {seconds} s.");
        Self { ready: Said::unknown(Reason::HardwareUnclear, why), ..self }
    }
}

/// Advice: it never keeps a Reflector from being Ready.
fn ready(report: &Report) -> Said {
    let culprits = || report.checks.iter().filter(|check| report.limited_by.contains(&check.component));
    match report.verdict {
        Verdict::Ready => {
            let estimate = report.estimated_max_mbps.map(|mbps| format!("About {mbps} Mbit/s."));
            Said::yes(Reason::HardwareSufficient, estimate.unwrap_or_default())
        }
        // What could not be found out is no limit.
        Verdict::ReadyLimited if culprits().all(|check| check.status == Status::Unknown) => {
            Said::unknown(Reason::HardwareUnclear, words(culprits()))
        }
        Verdict::ReadyLimited | Verdict::Degraded | Verdict::NotReady => {
            Said::not(Reason::HardwareLimited, words(culprits()))
        }
    }
}

fn words<'a>(culprits: impl Iterator<Item = &'a Check>) -> String {
    let said = |check: &Check| format!("{}: {}. {}", check.component, check.details, check.remediation);
    culprits.take(MOST_NAMED).map(said).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::Component;

    fn check(component: Component, status: Status) -> Check {
        let (details, remediation) = (format!("{component} is so"), format!("Mend {component}."));
        Check { component, status, details, remediation, measured: None }
    }

    fn report(verdict: Verdict, culprits: &[(Component, Status)]) -> Report {
        let mut checks: Vec<Check> =
            culprits.iter().map(|(component, status)| check(*component, *status)).collect();
        checks.push(check(Component::Clock, Status::Pass));
        Report {
            schema: "reflector.selftest/1",
            verdict,
            estimated_max_mbps: Some(940),
            tunnel_tax: Some(0.62),
            limited_by: culprits.iter().map(|(component, _)| *component).collect(),
            capabilities: Vec::new(),
            checks,
            internal_error: false,
        }
    }

    fn at() -> Timestamp {
        Timestamp::from_second(1_795_000_000).unwrap()
    }

    fn ready_of(verdict: Verdict, culprits: &[(Component, Status)]) -> Said {
        Hardware::found(&report(verdict, culprits), at()).ready
    }

    /// X8
    #[test]
    fn the_numbers_of_a_self_test_are_those_of_its_report() {
        let found = Hardware::found(&report(Verdict::Ready, &[]), at()).self_test.unwrap();
        assert_eq!(
            found,
            SelfTestStatus {
                verdict: Some("READY".into()),
                estimated_max_mbps: Some(940.0),
                tunnel_tax: Some(0.62),
                last_run: Some(whole_seconds(at())),
            }
        );
    }

    /// S3
    #[test]
    fn a_limit_is_said_with_what_to_do_and_what_nobody_knows_is_no_limit() {
        let (nic, disk) = (Component::Nic, Component::Disk);
        assert_eq!(ready_of(Verdict::Ready, &[]), Said::yes(Reason::HardwareSufficient, "About 940 Mbit/s."));
        for verdict in [Verdict::ReadyLimited, Verdict::Degraded, Verdict::NotReady] {
            assert_eq!(
                ready_of(verdict, &[(disk, Status::Warn)]),
                Said::not(Reason::HardwareLimited, "Disk: Disk is so. Mend Disk.")
            );
        }
        assert_eq!(
            ready_of(Verdict::ReadyLimited, &[(nic, Status::Unknown)]),
            Said::unknown(Reason::HardwareUnclear, "NIC speed: NIC speed is so. Mend NIC speed.")
        );
        assert_eq!(
            ready_of(Verdict::ReadyLimited, &[(nic, Status::Unknown), (disk, Status::Warn)]),
            Said::not(
                Reason::HardwareLimited,
                "NIC speed: NIC speed is so. Mend NIC speed. Disk: Disk is so. Mend Disk."
            )
        );
    }

    #[test]
    fn a_message_names_three_culprits_at_most() {
        let all = [Component::Cpu, Component::Memory, Component::Nic, Component::Disk];
        let said = ready_of(Verdict::Degraded, &all.map(|component| (component, Status::Warn)));
        let three = "CPU: CPU is so. Mend CPU. Memory: Memory is so. Mend Memory. NIC speed: NIC speed is so. Mend NIC speed.";
        assert_eq!(said, Said::not(Reason::HardwareLimited, three));
    }

    #[test]
    fn one_that_hangs_takes_no_number_away() {
        let before = Hardware::found(&report(Verdict::Ready, &[]), at());
        let after = before.clone().hung(60);
        assert_eq!(after.self_test, before.self_test);
        let why = "The last self-test did not end within 60 s.";
        assert_eq!(after.ready, Said::unknown(Reason::HardwareUnclear, why));
    }
}
