//! Every key of the configuration, once. Parsing, suggestions, environment overrides, `config show` and the
//! reference page are all driven by this table; defaults are those of `Config::default()`.
//!
//! To add a key: a field in `Config`, its default in `defaults.rs`, a row here. One piece because a reader wants to see
//! all keys in one place.

use crds::quotas;

use super::slot::Slot;
use super::{DeploymentMode, NetworkMode};

// What an object may say, the file may say, and no more: the first seven are the objects' bounds.

/// Longest test anyone may ask for: a reflector is shared.
pub const MAX_TEST_SECONDS: u64 = quotas::MAX_TEST_DURATION.as_secs();
/// Most sessions at one time: the streams of each take places of those reserved for known appliances.
pub const MAX_CONCURRENT_TESTS: u64 = quotas::MAX_CONCURRENT_TESTS as u64;
/// Most grants an hour: the ledger remembers each of them for an hour.
pub const MAX_TESTS_PER_HOUR: u64 = quotas::MAX_TESTS_PER_HOUR as u64;
/// Most bytes a day, and bits a second: what a TOML integer can hold.
pub const MAX_AMOUNT: u64 = i64::MAX as u64;
/// Below this a paced test moves less than one packet a second, and measures the pacing.
pub const MIN_RATE_BITS: u64 = quotas::MIN_RATE;
/// Longest pause between tests: a day, after which the daily quota is the better tool.
pub const MAX_COOLDOWN_SECONDS: u64 = quotas::MAX_COOLDOWN.as_secs();
/// Most echo packets a second: beyond it one flow needs a core for itself.
pub const MAX_ECHO_PPS: u64 = quotas::MAX_ECHO_PPS as u64;
/// Most streams in a test: iperf3's own limit.
pub const MAX_STREAMS: u64 = quotas::MAX_STREAMS as u64;
/// Longest lease on the last accepted policy: a revocation must not be missed for more than a month.
pub const MAX_OFFLINE_GRACE_SECONDS: u64 = 30 * 86_400;

/// One key.
pub struct Key {
    /// Table in the file.
    pub section: &'static str,
    /// Name in that table.
    pub name: &'static str,
    pub(super) slot: Slot,
    /// One line for people.
    pub help: &'static str,
    /// A value to write, in TOML.
    pub example: &'static str,
    /// What holds when the key has no default value of its own.
    pub unset: &'static str,
}

impl Key {
    /// `network.mode`
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `REFLECTOR__NETWORK__MODE`
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}__{}", self.section.to_uppercase(), self.name.to_uppercase())
    }

    /// What its value must be.
    pub fn what(&self) -> String {
        self.slot.what()
    }
}

/// Variables that start with this override a key.
pub const VARIABLE_PREFIX: &str = "REFLECTOR__";

/// The tables of the file, in the order people expect, each with what it is about.
pub const SECTIONS: [(&str, &str); 6] = [
    ("identity", "Who this reflector is."),
    ("network", "Where it listens and how data flows."),
    ("access", "Who may use it."),
    ("quotas", "How much each peer may use."),
    ("iperf3", "Throughput tests."),
    ("logging", "What it writes down."),
];

const fn key(
    section: &'static str,
    name: &'static str,
    slot: Slot,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key { section, name, slot, help, example, unset: "" }
}

const fn or(key: Key, unset: &'static str) -> Key {
    Key { section: key.section, name: key.name, slot: key.slot, help: key.help, example: key.example, unset }
}

/// The table.
pub static KEYS: &[Key] = &[
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
    key(
        "access",
        "pairing_enabled",
        Slot::Bool(|d| &mut d.config.access.pairing_enabled),
        "false",
        "Opens a pairing window at every start; its code is in pairing.json beside the key. `reflector pair` opens one when it is needed and prints its code.",
    ),
    key(
        "access",
        "authorized_peers",
        Slot::Ids(|d| &mut d.config.access.authorized_peers),
        r#"["PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K"]"#,
        "Endpoint IDs that may connect, besides those in peers_dir. Read-only: commands do not edit this file.",
    ),
    or(
        key(
            "access",
            "name",
            Slot::MaybeName(|d| &mut d.config.access.name),
            r#""attic""#,
            "Our name: peers whose reflectorRef names this Reflector are ours.",
        ),
        "the host's name",
    ),
    or(
        key(
            "access",
            "fleet",
            Slot::MaybeName(|d| &mut d.config.access.fleet),
            r#""homes""#,
            "Peers whose reflectorRef names this ReflectorFleet are ours too.",
        ),
        "not set: no fleet",
    ),
    or(
        key(
            "access",
            "peers_dir",
            Slot::MaybePath(|d| &mut d.config.access.peers_dir),
            r#""/etc/reflector/peers""#,
            "The directory of ReflectorPeer manifests. Changes act at once.",
        ),
        "peers/ beside the key",
    ),
    key(
        "access",
        "offline_grace",
        Slot::Duration(|d| &mut d.config.access.offline_grace, 0..=MAX_OFFLINE_GRACE_SECONDS),
        r#""24h""#,
        "How long the last accepted policy holds when its source is away. Nobody new is let in meanwhile.",
    ),
    key(
        "quotas",
        "max_test_duration_sec",
        Slot::U64(|d| &mut d.config.quotas.max_test_duration_sec, 1..=MAX_TEST_SECONDS),
        "60",
        "Longest test granted, in seconds. Longer requests are shortened.",
    ),
    key(
        "quotas",
        "max_concurrent_tests",
        Slot::U32(|d| &mut d.config.quotas.max_concurrent_tests, 1..=MAX_CONCURRENT_TESTS),
        "1",
        "Tests of all peers together at one time.",
    ),
    key(
        "quotas",
        "max_tests_per_hour_per_peer",
        Slot::U32(|d| &mut d.config.quotas.max_tests_per_hour_per_peer, 1..=MAX_TESTS_PER_HOUR),
        "10",
        "Tests of one peer in any 3600 seconds. Upload and download of one speed test count once.",
    ),
    or(
        key(
            "quotas",
            "max_bytes_per_day_per_peer",
            Slot::MaybeU64(|d| &mut d.config.quotas.max_bytes_per_day_per_peer, 1..=MAX_AMOUNT),
            "5000000000",
            "Bytes of one peer in a UTC day, both directions. A running test is cut there.",
        ),
        "5 GB on wan, hybrid and unknown, unlimited on lan",
    ),
    or(
        key(
            "quotas",
            "max_rate",
            Slot::MaybeU64(|d| &mut d.config.quotas.max_rate, MIN_RATE_BITS..=MAX_AMOUNT),
            "500000000",
            "Bits per second a test may move.",
        ),
        "not set: no cap",
    ),
    key(
        "quotas",
        "cooldown_sec",
        Slot::U64(|d| &mut d.config.quotas.cooldown_sec, 0..=MAX_COOLDOWN_SECONDS),
        "5",
        "Seconds a peer waits after a test. Not between the two halves of a speed test.",
    ),
    key(
        "quotas",
        "allow_udp_echo",
        Slot::Bool(|d| &mut d.config.quotas.allow_udp_echo),
        "true",
        "UDP echo tests may run.",
    ),
    key(
        "quotas",
        "allow_throughput",
        Slot::Bool(|d| &mut d.config.quotas.allow_throughput),
        "true",
        "Throughput tests may run.",
    ),
    key(
        "quotas",
        "max_echo_pps",
        Slot::U32(|d| &mut d.config.quotas.max_echo_pps, 1..=MAX_ECHO_PPS),
        "10000",
        "Echo packets per second.",
    ),
    key(
        "quotas",
        "windows",
        Slot::Windows,
        r#"[{ schedule = "0 22 * * *", duration = "8h", time_zone = "Europe/Paris", effect = "deny" }]"#,
        "Times in which tests are denied (effect deny), or outside of which they are (allow). In the file: [[quotas.windows]].",
    ),
    key(
        "iperf3",
        "path",
        Slot::Text(|d| &mut d.config.iperf3.path),
        r#""iperf3""#,
        "Accepted for compatibility and ignored: the engine is part of this program.",
    ),
    key(
        "iperf3",
        "default_streams",
        Slot::U32(|d| &mut d.config.iperf3.default_streams, 1..=MAX_STREAMS),
        "4",
        "Streams of a test whose request names none.",
    ),
    key(
        "iperf3",
        "max_streams",
        Slot::U32(|d| &mut d.config.iperf3.max_streams, 1..=MAX_STREAMS),
        "8",
        "Most streams a test may use.",
    ),
    key(
        "logging",
        "level",
        Slot::Filter(|d| &mut d.config.logging.level),
        r#""info""#,
        "What goes to standard error.",
    ),
    key("logging", "format", FORMAT, r#""text""#, "Lines for people, or one JSON object a line."),
    or(
        key(
            "logging",
            "audit_log_path",
            Slot::MaybePath(|d| &mut d.config.logging.audit_log_path),
            r#""/var/log/reflector/audit.jsonl""#,
            "The audit log. \"-\" is standard output.",
        ),
        "audit.jsonl beside the key",
    ),
    key(
        "logging",
        "audit_on_failure",
        ON_FAILURE,
        r#""continue""#,
        "What to do when the audit log cannot be written: continue, or deny new tests.",
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
const FORMAT: Slot = Slot::Choice(
    &["text", "json"],
    |d| usize::from(d.config.logging.json),
    |d, which| d.config.logging.json = which == 1,
);
const ON_FAILURE: Slot = Slot::Choice(
    &["continue", "deny"],
    |d| usize::from(d.config.logging.audit_deny_on_failure),
    |d, which| d.config.logging.audit_deny_on_failure = which == 1,
);
