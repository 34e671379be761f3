//! Where appliances reach a reflector.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Node, Service};

use crate::reflectors::fetch::Found;
use crate::reflectors::validate::Plan;

/// The CRD's bound.
const MOST: usize = 16;

/// What people were told to use, else what the cluster knows.
pub(super) fn of(found: &Found, plan: &Plan) -> Vec<String> {
    let told = found.reflector.spec.network.as_ref().map_or(&[][..], |network| &network.advertise);
    let port = plan.network.port;
    let mut all: Vec<String> = if !told.is_empty() {
        told.iter().map(|host| with_port(host, port)).collect()
    } else if plan.network.on_host {
        of_node(found.node.as_deref()).iter().map(|host| with_port(host, port)).collect()
    } else {
        of_service(found.children.service.as_deref(), port)
    };
    all.dedup();
    all.truncate(MOST);
    all
}

/// External addresses, else internal ones, of both families.
fn of_node(node: Option<&Node>) -> Vec<String> {
    let all = node.and_then(|node| node.status.as_ref()?.addresses.clone()).unwrap_or_default();
    let of = |wanted: &str| -> Vec<String> {
        all.iter().filter(|one| one.type_ == wanted).map(|one| one.address.clone()).collect()
    };
    let external = of("ExternalIP");
    if external.is_empty() { of("InternalIP") } else { external }
}

/// The load balancer's address, and never a node port: that has another number (the two ranges do not overlap), and data
/// comes to the port that the reflector knows as its own.
fn of_service(service: Option<&Service>, port: u16) -> Vec<String> {
    let Some(service) = service else { return vec![] };
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.clone());
    let hosts = ingress.into_iter().flatten().filter_map(|ingress| ingress.ip.or(ingress.hostname));
    hosts.map(|host| with_port(&host, port)).collect()
}

fn with_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}
