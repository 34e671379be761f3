//! Ports a reflector cannot have. The CEL rule, the validator and the documentation come from this list.

use std::ops::RangeInclusive;

/// Where appliances connect when nobody says otherwise.
pub const DEFAULT_PORT: i32 = 4000;
/// Where health, readiness and metrics answer when nobody says otherwise.
pub const DEFAULT_HEALTH_PORT: i32 = 7301;
/// Most data ports: each is listed twice in the pod, and 64 sessions can run at one time.
pub const MAX_DATA_PORTS: i32 = 128;

/// Ports somebody else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub ports: RangeInclusive<i32>,
    /// Who.
    pub by: &'static str,
}

const fn taken(first: i32, last: i32, by: &'static str) -> Taken {
    Taken { ports: first..=last, by }
}

/// What k3s and Kubernetes themselves listen on.
pub const TAKEN: &[Taken] = &[
    taken(1, 1023, "privileged ports, which the pod has no right to"),
    taken(2379, 2382, "etcd of k3s"),
    taken(5001, 5001, "k3s' embedded registry mirror"),
    taken(6443, 6444, "the Kubernetes API server and k3s' load balancer for it"),
    taken(8472, 8472, "flannel (VXLAN)"),
    taken(10010, 10010, "containerd of k3s"),
    taken(10248, 10250, "the kubelet and kube-proxy"),
    taken(10256, 10259, "kube-proxy, the controller manager and the scheduler"),
    taken(30000, 32767, "Services of type NodePort"),
    taken(51820, 51821, "flannel (WireGuard)"),
];

/// Who has one of these ports.
pub fn taken_by(ports: &RangeInclusive<i32>) -> Option<&'static Taken> {
    TAKEN.iter().find(|taken| taken.ports.start() <= ports.end() && ports.start() <= taken.ports.end())
}

/// The list as people read it: `1-1023, 2379-2382, 5001, …`.
pub fn listed() -> String {
    let one = |taken: &Taken| match (taken.ports.start(), taken.ports.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    TAKEN.iter().map(one).collect::<Vec<_>>().join(", ")
}
