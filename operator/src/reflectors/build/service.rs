//! The Service of a reflector on the pod network.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels;
use crate::reflectors::validate::Plan;

/// `Local`, or every appliance would come from a node's address. Not-ready addresses are published: a reflector that is
/// cut off from the API server serves on.
pub(super) fn build(plan: &Plan) -> Service {
    let data = plan.network.data_ports.map(|(first, last)| first..=last);
    let ports = std::iter::once(plan.network.port).chain(data.into_iter().flatten());
    let ports = ports.flat_map(|port| ["TCP", "UDP"].map(|protocol| service_port(port, protocol))).collect();
    Service {
        metadata: labels::child(plan),
        spec: Some(ServiceSpec {
            type_: Some("LoadBalancer".to_owned()),
            selector: Some(labels::selector(&plan.name)),
            external_traffic_policy: Some("Local".to_owned()),
            ip_family_policy: Some("PreferDualStack".to_owned()),
            publish_not_ready_addresses: Some(true),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn service_port(port: u16, protocol: &str) -> ServicePort {
    ServicePort {
        name: Some(format!("{}-{port}", protocol.to_lowercase())),
        protocol: Some(protocol.to_owned()),
        port: i32::from(port),
        target_port: Some(IntOrString::Int(i32::from(port))),
        ..ServicePort::default()
    }
}
