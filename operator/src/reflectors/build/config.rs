//! The file a pod starts with: where it listens, where it keeps things, who it is. Nothing else: what people change
//! while it runs is read from the API, because a change of this file restarts the pod.

use k8s_openapi::api::core::v1::ConfigMap;
use serde::Serialize;

use super::labels;
use crate::reflectors::validate::{Mode, Plan};

/// The entry of the `ConfigMap`, and the file in the pod.
pub(super) const FILE: &str = "reflector.toml";
/// Where the claim is mounted.
pub(super) const STATE: &str = "/var/lib/reflector";
/// Everything else the pod writes lives in its folder.
const KEY: &str = "/var/lib/reflector/identity.ed25519";

#[derive(Serialize)]
struct Bootstrap<'a> {
    identity: Identity,
    network: Network,
    access: Access<'a>,
}

#[derive(Serialize)]
struct Identity {
    private_key_path: &'static str,
}

#[derive(Serialize)]
struct Network {
    listen_address: String,
    listen_address_health: String,
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_port_range_start: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_port_range_end: Option<u16>,
    plain_on_control_port: bool,
}

#[derive(Serialize)]
struct Access<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet_uid: Option<&'a str>,
}

pub(super) fn build(plan: &Plan) -> ConfigMap {
    let text = text(plan);
    ConfigMap {
        metadata: labels::child(plan),
        data: Some([(FILE.to_owned(), text)].into()),
        ..ConfigMap::default()
    }
}

#[expect(clippy::expect_used, reason = "strings and numbers in tables can always be written as TOML")]
fn text(plan: &Plan) -> String {
    let network = &plan.network;
    let bootstrap = Bootstrap {
        identity: Identity { private_key_path: KEY },
        network: Network {
            // Takes IPv4 and IPv6.
            listen_address: format!("[::]:{}", network.port),
            listen_address_health: format!("[::]:{}", network.health_port),
            mode: match network.mode {
                Mode::Auto => "auto",
                Mode::Tunneled => "tunneled",
                Mode::Direct => "direct_ephemeral",
            },
            data_port_range_start: network.data_ports.map(|(start, _)| start),
            data_port_range_end: network.data_ports.map(|(_, end)| end),
            plain_on_control_port: network.plain_on_control_port,
        },
        access: Access {
            name: &plan.name,
            namespace: &plan.namespace,
            uid: &plan.uid,
            fleet: plan.fleet.as_ref().map(|(name, _)| name.as_str()),
            fleet_uid: plan.fleet.as_ref().map(|(_, uid)| uid.as_str()),
        },
    };
    toml::to_string(&bootstrap).expect("invariant: a bootstrap is TOML")
}
