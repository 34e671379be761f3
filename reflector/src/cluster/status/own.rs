//! The pod's part of its Reflector's status. Everything else there is the operator's.

use crds::reasons::ConditionType;
use crds::reflector::SelfTestStatus;
use crds::{EndpointId, ReflectorStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::condition::{self, Said};

/// What this pod knows about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnFacts {
    /// Whose words these are. They count only when it is said.
    pub pod_uid: Option<String>,
    /// The key it serves with.
    pub endpoint_id: EndpointId,
    /// This build.
    pub version: String,
    /// The generation of the Reflector whose policy is in force.
    pub policy_generation: Option<i64>,
    /// `lan`, `wan`, `hybrid`, `unknown`.
    pub network_position: String,
    /// What the self-test found, once one has run.
    pub self_test: Option<SelfTestStatus>,
    /// Sessions now.
    pub active_tests: u32,
    /// It takes connections and grants tests.
    pub accepting: Said,
    /// The policy in force is the one that was written.
    pub policy_current: Said,
    /// Its host is fast enough.
    pub hardware_ready: Said,
}

/// The pod's fields of a Reflector's status, and no other.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnReport(ReflectorStatus);

/// The conditions a pod writes.
const CONDITIONS: [ConditionType; 3] =
    [ConditionType::Accepting, ConditionType::PolicyCurrent, ConditionType::HardwareReady];

impl OwnReport {
    /// From facts. `before` are the conditions that were last said, for their times.
    pub fn new(facts: &OwnFacts, before: &[Condition], now: Timestamp) -> Self {
        let said = [&facts.accepting, &facts.policy_current, &facts.hardware_ready];
        let conditions = CONDITIONS.into_iter().zip(said);
        let render = |(kind, said)| condition::render(kind, said, facts.policy_generation, before, now);
        Self(ReflectorStatus {
            pod_uid: facts.pod_uid.clone(),
            endpoint_id: Some(facts.endpoint_id.to_string()),
            short_id: Some(facts.endpoint_id.short()),
            version: Some(facts.version.clone()),
            policy_generation: facts.policy_generation,
            active_tests: Some(facts.active_tests.into()),
            network_position: Some(facts.network_position.clone()),
            self_test: facts.self_test.clone(),
            conditions: conditions.map(render).collect(),
            ..ReflectorStatus::default()
        })
    }

    /// What the API server has of these fields.
    pub fn there(status: &ReflectorStatus) -> Self {
        let ours = |condition: &&Condition| CONDITIONS.iter().any(|kind| kind.as_str() == condition.type_);
        Self(ReflectorStatus {
            pod_uid: status.pod_uid.clone(),
            endpoint_id: status.endpoint_id.clone(),
            short_id: status.short_id.clone(),
            version: status.version.clone(),
            policy_generation: status.policy_generation,
            active_tests: status.active_tests,
            network_position: status.network_position.clone(),
            self_test: status.self_test.clone(),
            conditions: status.conditions.iter().filter(ours).cloned().collect(),
            ..ReflectorStatus::default()
        })
    }

    /// The fields.
    pub fn status(&self) -> &ReflectorStatus {
        &self.0
    }

    /// What others decide by: whose words these are, what is in force, and the conditions.
    pub(super) fn decides_like(&self, other: &Self) -> bool {
        let (one, other) = (&self.0, &other.0);
        one.pod_uid == other.pod_uid
            && one.endpoint_id == other.endpoint_id
            && one.version == other.version
            && one.policy_generation == other.policy_generation
            && condition::same(&one.conditions, &other.conditions)
    }

    /// What is only shown.
    pub(super) fn shows_like(&self, other: &Self) -> bool {
        let (one, other) = (&self.0, &other.0);
        one.active_tests == other.active_tests
            && one.network_position == other.network_position
            && one.self_test == other.self_test
    }
}
