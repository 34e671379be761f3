//! What holds for all files, and for each row of the table.

use proptest::prelude::*;

use super::*;

#[test]
fn the_defaults_written_down_load_back_to_the_same() {
    let defaults = parse("", &nothing()).unwrap();
    assert_eq!(defaults.config, Config::default());
    assert_eq!(good(&defaults.to_toml()), Config::default());
    for key in keys::all() {
        let value = show::default_value(key);
        assert_eq!(value.is_some(), key.unset.is_empty(), "{} says what holds when unset", key.path());
        if let Some(value) = value {
            let again = good(&format!("[{}]\n{} = {value}\n", key.section, key.name));
            assert_eq!(again, Config::default(), "{}", key.path());
        }
    }
}

#[test]
fn every_limit_of_the_table_holds_at_its_edges() {
    for (key, low, high) in [
        ("quotas.max_test_duration_sec", 1, keys::MAX_TEST_SECONDS),
        ("quotas.max_concurrent_tests", 1, keys::MAX_CONCURRENT_TESTS),
        ("quotas.max_tests_per_hour_per_peer", 1, keys::MAX_TESTS_PER_HOUR),
        ("quotas.max_bytes_per_day_per_peer", 1, keys::MAX_AMOUNT),
        ("quotas.max_rate", keys::MIN_RATE_BITS, keys::MAX_AMOUNT),
        ("quotas.cooldown_sec", 0, keys::MAX_COOLDOWN_SECONDS),
        ("quotas.max_echo_pps", 1, keys::MAX_ECHO_PPS),
        ("iperf3.max_streams", 1, keys::MAX_STREAMS),
        ("access.offline_grace", 0, keys::MAX_OFFLINE_GRACE_SECONDS),
    ] {
        good(&format!("{key} = {low}"));
        good(&format!("{key} = {high}"));
        assert!(parse(&format!("{key} = {}", high + 1), &nothing()).is_err(), "{key}");
        assert!(low == 0 || parse(&format!("{key} = {}", low - 1), &nothing()).is_err(), "{key}");
    }
}

/// Values of every type, right and wrong, for keys that exist.
fn line() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<bool>().prop_map(|b| b.to_string()),
        "[a-z0-9:./-]{0,12}".prop_map(|text| format!("\"{text}\"")),
        Just("[]".to_owned()),
        Just("{ a = 1 }".to_owned()),
    ];
    (0..keys::all().count(), value, 0..4).prop_map(|(at, value, dice)| {
        let key = keys::all().nth(at).unwrap();
        format!("{} = {}", key.path(), if dice > 0 { key.example } else { &value })
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", name in "REFLECTOR__[A-Z_]{0,20}", value in "\\PC*") {
        let _ = parse(&text, &variables(&[(&name, &value)])).map_err(|report| report.to_string());
    }

    #[test]
    fn no_arrangement_of_toml_panics(text in "[\\[\\]{}\"'=.,#a-c0-9_ \n\t\\\\-]{0,60}") {
        let _ = parse(&text, &nothing()).map_err(|report| report.to_string());
    }

    #[test]
    fn no_variable_panics(at in 0..keys::all().count(), value in "\\PC*") {
        let _ = parse("", &variables(&[(&keys::all().nth(at).unwrap().variable(), &value)])).map_err(|r| r.to_string());
    }

    #[test]
    fn what_loads_is_written_down_and_loads_back_to_the_same(lines in prop::collection::vec(line(), 0..5)) {
        if let Ok(loaded) = parse(&lines.join("\n"), &nothing()) {
            let again = parse(&loaded.to_toml(), &nothing()).map_err(|r| r.to_string());
            prop_assert_eq!(again.map(|l| l.config), Ok(loaded.config));
        }
    }
}
