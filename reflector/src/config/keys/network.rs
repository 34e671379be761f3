//! `[identity]` and `[network]`: who this reflector is, where it listens and how data flows.

use super::Key;
use super::key::{key, or};
use crate::config::slot::Slot;
use crate::config::{DeploymentMode, NetworkMode};

pub(super) static KEYS: &[Key] = &[
    key(
        "identity",
        "private_key_path",
        Slot::Path(|d| &mut d.config.identity.private_key_path),
        r#""/var/lib/reflector/identity.ed25519""#,
        "The 32-byte key file, made at the first start. Everything else we keep lives in its folder.",
    ),
    key(
        "network",
        "listen_address",
        Slot::Address(|d| &mut d.config.network.listen_address),
        r#""0.0.0.0:4000""#,
        "Where appliances connect, TCP and UDP. [::]:4000 takes IPv4 and IPv6.",
    ),
    key(
        "network",
        "listen_address_health",
        Slot::Address(|d| &mut d.config.network.listen_address_health),
        r#""0.0.0.0:7301""#,
        "Where GET /health, /readyz and /metrics answer in plain HTTP.",
    ),
    key(
        "network",
        "mode",
        MODE,
        r#""auto""#,
        "How data flows. auto: through the data ports when a range is set, else everything on the one port; tunneled: never through data ports; direct_ephemeral: needs a range.",
    ),
    or(
        key(
            "network",
            "data_port_range_start",
            Slot::MaybePort(|d| &mut d.range_start),
            "5201",
            "First port for data, TCP and UDP. Set both ends or neither.",
        ),
        "not set: everything uses the control port",
    ),
    or(
        key(
            "network",
            "data_port_range_end",
            Slot::MaybePort(|d| &mut d.range_end),
            "5210",
            "Last port for data.",
        ),
        "not set: everything uses the control port",
    ),
    key(
        "network",
        "deployment_mode",
        DEPLOYMENT,
        r#""wan""#,
        "Where the reflector stands. It decides the default of quotas.max_bytes_per_day_per_peer; auto looks at our addresses.",
    ),
    key(
        "network",
        "plain_on_control_port",
        Slot::Bool(|d| &mut d.config.network.plain_on_control_port),
        "true",
        "Lets appliances that cannot tunnel run iperf3 against the control port. false: without data ports only tunnelled tests.",
    ),
    key(
        "network",
        "require_alpn",
        Slot::Bool(|d| &mut d.config.network.require_alpn),
        "false",
        "Refuses connections without ALPN pp-link/1. Today's appliances send none.",
    ),
    or(
        key(
            "network",
            "admin_socket",
            Slot::MaybePath(|d| &mut d.config.network.admin_socket),
            r#""/run/reflector/admin.sock""#,
            "Where the commands of this program reach the running server. Only its owner may.",
        ),
        "admin.sock beside the key",
    ),
    key(
        "network",
        "metrics_public",
        Slot::Bool(|d| &mut d.config.network.metrics_public),
        "false",
        "Answers /metrics to everyone. false: loopback and private addresses only.",
    ),
];

const MODE: Slot = Slot::Choice(
    &["auto", "tunneled", "direct_ephemeral"],
    |d| d.config.network.mode as usize,
    |d, which| {
        d.config.network.mode = match which {
            0 => NetworkMode::Auto,
            1 => NetworkMode::Tunneled,
            _ => NetworkMode::DirectEphemeral,
        };
    },
);

const DEPLOYMENT: Slot = Slot::Choice(
    &["auto", "wan", "lan", "hybrid"],
    |d| d.config.network.deployment_mode as usize,
    |d, which| {
        d.config.network.deployment_mode = match which {
            0 => DeploymentMode::Auto,
            1 => DeploymentMode::Wan,
            2 => DeploymentMode::Lan,
            _ => DeploymentMode::Hybrid,
        };
    },
);
