//! What holds when nothing is configured. The seed's defaults, except that no data port range is set.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{Access, Config, DeploymentMode, Identity, Iperf3, Logging, Network, NetworkMode, Quotas};

/// Where appliances knock.
const CONTROL_PORT: u16 = 4000;
/// Where `GET /health` answers.
const HEALTH_PORT: u16 = 7301;

impl Default for Config {
    fn default() -> Self {
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self {
            identity: Identity { private_key_path: PathBuf::from("/var/lib/reflector/identity.ed25519") },
            network: Network {
                listen_address: any(CONTROL_PORT),
                listen_address_health: any(HEALTH_PORT),
                mode: NetworkMode::Auto,
                data_ports: None,
                deployment_mode: DeploymentMode::Auto,
                plain_on_control_port: true,
                require_alpn: false,
                admin_socket: None,
                metrics_public: false,
            },
            access: Access {
                pairing_enabled: false,
                authorized_peers: Vec::new(),
                name: None,
                namespace: None,
                uid: None,
                fleet: None,
                fleet_uid: None,
                peers_dir: None,
                offline_grace: Duration::from_secs(24 * 60 * 60),
            },
            quotas: Quotas {
                max_test_duration_sec: 60,
                max_concurrent_tests: 1,
                max_tests_per_hour_per_peer: 10,
                max_bytes_per_day_per_peer: None,
                max_rate: None,
                cooldown_sec: 5,
                allow_udp_echo: true,
                allow_throughput: true,
                max_echo_pps: 10_000,
                windows: Vec::new(),
            },
            iperf3: Iperf3 { path: "iperf3".to_owned(), default_streams: 4, max_streams: 8 },
            logging: Logging {
                level: "info".to_owned(),
                json: false,
                audit_log_path: None,
                audit_deny_on_failure: false,
            },
        }
    }
}
