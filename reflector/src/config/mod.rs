//! The configuration of a reflector: one TOML file, environment overrides, defaults.
//!
//! In: text and variables. Out: one validated [`Config`]; nobody else reads the file or the environment. [`keys`]
//! is the table everything else is driven by; `load.rs` is the only file here that touches the world.

mod check;
mod defaults;
pub mod duration;
mod in_cluster;
pub mod keys;
mod load;
mod nearest;
mod parse;
mod paths;
pub mod reference;
mod report;
mod show;
mod slot;
mod suggest;
mod value;
pub mod windows;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crds::EndpointId;

use crate::access::windows::Window;

pub(crate) use nearest::nearest;

pub use load::{Candidate, Error, candidates, environment, hostname, load};
pub use parse::{Loaded, Origin, Source, Variables, check_value, parse, parse_source};
pub use report::{Place, Problem, Report, Severity};
pub use show::Effective;

/// Everything a reflector is told before it starts. Defaults are those of `Config::default()`.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "sections, named as in the file")]
pub struct Config {
    pub identity: Identity,
    pub network: Network,
    pub access: Access,
    pub quotas: Quotas,
    pub iperf3: Iperf3,
    pub logging: Logging,
}

/// `[identity]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `private_key_path`, default /var/lib/reflector/identity.ed25519. Its folder is where everything else we
    /// write lives unless a key says otherwise.
    pub private_key_path: PathBuf,
}

/// `[network]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// `listen_address`, default 0.0.0.0:4000
    pub listen_address: SocketAddr,
    /// `listen_address_health`, default 0.0.0.0:7301
    pub listen_address_health: SocketAddr,
    /// `mode`: auto | tunneled | `direct_ephemeral`
    pub mode: NetworkMode,
    /// `data_port_range_start`, `data_port_range_end`: both or neither; unset by default
    pub data_ports: Option<(u16, u16)>,
    /// `deployment_mode`: auto | wan | lan | hybrid
    pub deployment_mode: DeploymentMode,
    /// `plain_on_control_port`, default true
    pub plain_on_control_port: bool,
    /// `require_alpn`, default false: appliances send none
    pub require_alpn: bool,
    /// `admin_socket`, default admin.sock beside the key
    pub admin_socket: Option<PathBuf>,
    /// `metrics_public`, default false: /metrics answers loopback and private sources only
    pub metrics_public: bool,
}

/// `network.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the file")]
pub enum NetworkMode {
    Auto,
    Tunneled,
    DirectEphemeral,
}

/// `network.deployment_mode`, and what detection finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the file")]
pub enum DeploymentMode {
    Auto,
    Wan,
    Lan,
    Hybrid,
}

/// `[access]`
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    /// `pairing_enabled`, default false: true opens a window at every start
    pub pairing_enabled: bool,
    /// `authorized_peers`: read-only peers
    pub authorized_peers: Vec<EndpointId>,
    /// `name`, default: the host's name. Peers whose `reflectorRef` names it are ours.
    pub name: Option<String>,
    /// `namespace`: set by the operator; policy is read from the API server, not from a directory.
    pub namespace: Option<String>,
    /// `uid`: of the Reflector of that name; set by the operator.
    pub uid: Option<String>,
    /// `fleet`: peers whose `reflectorRef` names this fleet are ours too.
    pub fleet: Option<String>,
    /// `fleet_uid`: which fleet of that name; set by the operator.
    pub fleet_uid: Option<String>,
    /// `peers_dir`, default peers/ beside the key
    pub peers_dir: Option<PathBuf>,
    /// `offline_grace`, default 24h
    pub offline_grace: Duration,
}

/// `[quotas]`
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "named as in the file")]
pub struct Quotas {
    pub max_test_duration_sec: u64,
    pub max_concurrent_tests: u32,
    pub max_tests_per_hour_per_peer: u32,
    /// Unset: 5 GB on wan, hybrid and unknown, unlimited on lan.
    pub max_bytes_per_day_per_peer: Option<u64>,
    /// Bits per second.
    pub max_rate: Option<u64>,
    pub cooldown_sec: u64,
    pub allow_udp_echo: bool,
    pub allow_throughput: bool,
    pub max_echo_pps: u32,
    /// `[[quotas.windows]]`: schedule, duration, `time_zone`, effect
    pub windows: Vec<Window>,
}

/// `[iperf3]`
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the file")]
pub struct Iperf3 {
    /// Accepted for compatibility; the engine is in process.
    pub path: String,
    pub default_streams: u32,
    pub max_streams: u32,
}

/// `[logging]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// `level`: off|error|warn|info|debug|trace, or a tracing filter
    pub level: String,
    /// `format`: text | json
    pub json: bool,
    /// `audit_log_path`, default audit.jsonl beside the key; `-` is stdout
    pub audit_log_path: Option<PathBuf>,
    /// `audit_on_failure`: continue | deny
    pub audit_deny_on_failure: bool,
}

#[cfg(test)]
mod tests;
