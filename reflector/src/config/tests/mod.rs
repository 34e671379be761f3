//! The room as a whole: files as people write them.

mod mistakes;
mod properties;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const QUADLET: &str = include_str!("../../../tests/data/guide-quadlet.toml");
const COMPOSE: &str = include_str!("../../../tests/data/guide-compose.toml");
const ID: &str = "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K";

fn nothing() -> Variables {
    Variables::new()
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn good(text: &str) -> Config {
    parse(text, &nothing()).unwrap_or_else(|report| panic!("{report}")).config
}

/// C1
#[test]
fn the_guides_example_loads_and_warns_that_its_range_is_ignored() {
    let source = Source { path: Some(Path::new("/etc/reflector/reflector.toml")), text: QUADLET };
    let loaded = parse_source(source, &nothing()).unwrap();
    assert_eq!(loaded.config.network.mode, NetworkMode::Tunneled);
    assert_eq!(loaded.config.network.data_ports, None);
    assert_eq!(loaded.config.quotas.max_bytes_per_day_per_peer, Some(5_000_000_000));
    assert_eq!(loaded.config.iperf3, Config::default().iperf3);
    let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert_eq!(warning.severity, Severity::Warning);
    assert_eq!(
        warning.to_string(),
        "warning: the data ports 5201 to 5210 are ignored: `network.mode` is tunneled
 --> /etc/reflector/reflector.toml:7:25
  |
7 | data_port_range_start = 5201
  |                         ^^^^
  = help: remove both keys and close the ports, or write mode = \"auto\" to use them"
    );
}

/// C1
#[test]
fn the_guides_short_example_loads_without_a_word() {
    let loaded = parse(COMPOSE, &nothing()).unwrap();
    assert_eq!(loaded.warnings, []);
    let mut expected = Config::default();
    expected.network.mode = NetworkMode::Tunneled;
    expected.logging.audit_log_path = Some(PathBuf::from("/var/lib/reflector/audit.jsonl"));
    assert_eq!(loaded.config, expected);
}

#[test]
fn every_key_can_be_overridden_by_its_variable() {
    for key in keys::all() {
        let value = key.example.trim_matches('"');
        let mut vars = variables(&[(&key.variable(), value)]);
        if key.name.starts_with("data_port_range") {
            vars.insert("REFLECTOR__NETWORK__DATA_PORT_RANGE_START".to_owned(), "5201".to_owned());
            vars.insert("REFLECTOR__NETWORK__DATA_PORT_RANGE_END".to_owned(), "5210".to_owned());
        }
        if matches!(key.name, "namespace" | "uid" | "fleet_uid") {
            for (name, value) in [("NAME", "attic"), ("NAMESPACE", "reflectors"), ("FLEET", "homes")] {
                vars.insert(format!("REFLECTOR__ACCESS__{name}"), value.to_owned());
            }
            vars.insert("REFLECTOR__ACCESS__FLEET_UID".to_owned(), "f-1".to_owned());
        }
        let loaded = parse("", &vars).unwrap_or_else(|report| panic!("{}: {report}", key.path()));
        assert_eq!(
            loaded.origins.get(&key.path()),
            Some(&Origin::Variable(key.variable())),
            "{}",
            key.path()
        );
    }
}

#[test]
fn the_environment_wins_over_the_file() {
    let vars = variables(&[
        ("REFLECTOR__NETWORK__LISTEN_ADDRESS", "[::1]:4100"),
        ("REFLECTOR__QUOTAS__COOLDOWN_SEC", "7"),
        ("REFLECTOR__ACCESS__AUTHORIZED_PEERS", ID),
        ("REFLECTOR__ACCESS__OFFLINE_GRACE", "3600"),
    ]);
    let config = parse("[network]\nlisten_address = \"127.0.0.1:1\"\n", &vars).unwrap().config;
    assert_eq!(config.network.listen_address, "[::1]:4100".parse().unwrap());
    assert_eq!(config.quotas.cooldown_sec, 7);
    assert_eq!(config.access.authorized_peers, [ID.parse().unwrap()]);
    assert_eq!(config.access.offline_grace, Duration::from_secs(3600));
}

#[test]
fn lists_in_the_environment_are_toml_or_comma_separated() {
    let other = "PP-0EGG-FFZK-SR8B-W7BG-VMCE-EJY0-K5KY-9NHG-KEJG-TQRX-VJ36-84JN-66W0-A";
    for text in [format!("{ID}, {other}"), format!("[\"{ID}\", \"{other}\"]")] {
        let config = parse("", &variables(&[("REFLECTOR__ACCESS__AUTHORIZED_PEERS", &text)])).unwrap().config;
        assert_eq!(config.access.authorized_peers.len(), 2);
    }
    let config = parse("", &variables(&[("REFLECTOR__ACCESS__AUTHORIZED_PEERS", "")])).unwrap().config;
    assert_eq!(config.access.authorized_peers, []);
}

#[test]
fn a_lower_maximum_of_streams_lowers_our_own_default() {
    assert_eq!(good("[iperf3]\nmax_streams = 2").iperf3.default_streams, 2);
}

#[test]
fn a_range_is_kept_when_the_mode_uses_it() {
    let range = "data_port_range_start = 5201\ndata_port_range_end = 5210\n";
    assert_eq!(good(&format!("[network]\n{range}")).network.data_ports, Some((5201, 5210)));
    let direct = good(&format!("[network]\nmode = \"direct_ephemeral\"\n{range}"));
    assert_eq!(direct.network.data_ports, Some((5201, 5210)));
}

/// C1
#[test]
fn the_named_file_wins_then_the_systems_then_the_users() {
    let paths = |explicit: Option<&str>, vars: &[(&str, &str)]| -> Vec<(String, bool)> {
        candidates(explicit.map(Path::new), &variables(vars))
            .into_iter()
            .map(|c| (c.path.display().to_string(), c.named))
            .collect()
    };
    let system = ("/etc/reflector/reflector.toml".to_owned(), false);
    let user = |path: &str| (path.to_owned(), false);
    let all = [("REFLECTOR_CONFIG", "/v.toml"), ("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")];
    assert_eq!(paths(Some("/c.toml"), &all), [("/c.toml".to_owned(), true)]);
    assert_eq!(paths(None, &all), [("/v.toml".to_owned(), true)]);
    assert_eq!(paths(None, &all[1..]), [system.clone(), user("/x/reflector/reflector.toml")]);
    assert_eq!(paths(None, &all[2..]), [system.clone(), user("/h/.config/reflector/reflector.toml")]);
    let relative = [("XDG_CONFIG_HOME", "x"), ("HOME", "/h")];
    assert_eq!(paths(None, &relative), [system.clone(), user("/h/.config/reflector/reflector.toml")]);
    assert_eq!(paths(None, &[("REFLECTOR_CONFIG", "")]), [system]);
}

/// C1
#[test]
fn the_first_file_that_exists_is_read_and_a_broken_one_is_never_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let candidate = |name: &str, named| Candidate { path: dir.path().join(name), named };
    let search = [candidate("first.toml", false), candidate("second.toml", false)];
    assert_eq!(load(&search, &nothing()).unwrap().path, None);
    std::fs::write(&search[1].path, "[quotas]\ncooldown_sec = 2\n").unwrap();
    let loaded = load(&search, &nothing()).unwrap();
    assert_eq!((loaded.path.as_ref(), loaded.config.quotas.cooldown_sec), (Some(&search[1].path), 2));
    std::fs::write(&search[0].path, "[quotas]\ncooldown_sec = 1\n").unwrap();
    assert_eq!(load(&search, &nothing()).unwrap().config.quotas.cooldown_sec, 1);
    std::fs::write(&search[0].path, "[quota]\n").unwrap();
    assert!(matches!(load(&search, &nothing()), Err(Error::Invalid(_))));
    std::fs::write(&search[0].path, [0x5b, 0xff]).unwrap();
    let error = load(&search, &nothing()).unwrap_err().to_string();
    assert!(error.contains("byte 1 is not UTF-8"), "{error}");
    let error = load(&[candidate("missing.toml", true)], &nothing()).unwrap_err().to_string();
    assert!(error.contains("missing.toml") && error.contains("check -c/--config"), "{error}");
    let error = load(&[Candidate { path: dir.path().into(), named: true }], &nothing()).unwrap_err();
    assert!(error.to_string().contains("name the file in that folder"), "{error}");
    let error = load(&[Candidate { path: "/dev/zero".into(), named: true }], &nothing()).unwrap_err();
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/configuration.md");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == reference::markdown(),
        "docs/reference/configuration.md is stale; run: cargo run -q -p reflector -- config reference > docs/reference/configuration.md"
    );
}
