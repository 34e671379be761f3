//! Everything people get wrong, and what they read then.

use super::*;

/// A file; what the message and its help contain; line and column.
type Row = (&'static str, &'static str, &'static str, usize, usize);

#[rustfmt::skip]
const NAMES: &[Row] = &[
    ("[networks]\n", "[networks] is no section", "did you mean [network]?", 1, 2),
    ("[metrics]\n", "[metrics] is no section", "the sections are [identity], [network]", 1, 2),
    ("mode = \"auto\"", "`mode` stands in no section", "`mode` belongs in [network]", 1, 1),
    ("network = 5", "`network` must be a table; found 5", "write [network]", 1, 1),
    ("[[network]]\n", "`network` must be a table; found a list", "write [network]", 1, 3),
    ("[network]\nlevel = \"info\"", "`level` is no key of [network]", "`level` belongs in [logging]", 2, 1),
    ("[network]\nmax_stream = 8", "`max_stream` is no key of [network]", "did you mean `max_streams` in [iperf3]?", 2, 1),
    ("[network]\ncolour = 1", "`colour` is no key of [network]", "[network] has listen_address, ", 2, 1),
    ("[network]\nmode = \"auto\"\nmode = \"auto\"", "`mode` is there twice", "keep one", 3, 1),
    ("[network]\n[network]\n", "`network` is there twice", "keep one", 2, 2),
    ("[network]\nmode = auto\n", "this is not TOML", "texts go in quotes", 2, 8),
];

#[rustfmt::skip]
const VALUES: &[Row] = &[
    ("[network]\nmode = 5", "`network.mode` must be one of auto, tunneled, direct_ephemeral; found 5", "write `mode = \"auto\"`", 2, 8),
    ("[network]\nmode = \"tunnel\"", "found \"tunnel\"", "did you mean \"tunneled\"?", 2, 8),
    ("[network]\nrequire_alpn = \"yes\"", "must be true or false; found \"yes\"", "write `require_alpn = false`", 2, 16),
    ("[quotas]\nmax_test_duration_sec = 301", "must be a whole number from 1 to 300; found 301", "write `max_test_duration_sec = 60`", 2, 25),
    ("[quotas]\ncooldown_sec = -1", "found -1", "write `cooldown_sec = 5`", 2, 16),
    ("[quotas]\ncooldown_sec = 1.5", "found the fraction 1.5", "write `cooldown_sec = 5`", 2, 16),
    ("[quotas]\nmax_rate = 99999999999999999999999999", "found 99999999999999999999999999", "write `max_rate = 500000000`", 2, 12),
    ("[network]\nlisten_address = \"4000\"", "must be an IP address and a port", "write \"0.0.0.0:4000\"", 2, 18),
    ("[network]\nlisten_address = \"0.0.0.0\"", "must be an IP address and a port", "the port is missing", 2, 18),
    ("[network]\nlisten_address = \"pi.example:4000\"", "must be an IP address and a port", "names are not looked up", 2, 18),
    ("[access]\nauthorized_peers = [5]", "entry 1 must be a text; found 5", "in quotes", 2, 21),
    ("[access]\nauthorized_peers = \"PP-\"", "must be a list of Endpoint IDs; found \"PP-\"", "write", 2, 20),
    ("[access]\nname = \"Attic\"", "must be an object name", "write `name = \"attic\"`", 2, 8),
    ("[access]\noffline_grace = \"1 day\"", "is not a unit of time", "write `offline_grace = \"24h\"`", 2, 17),
    ("[access]\noffline_grace = \"31d\"", "must be a duration from 0s to 30d; found \"31d\"", "write", 2, 17),
    ("[access]\nname = \"a..b\"", "must be an object name", "write `name = \"attic\"`", 2, 8),
    ("[identity]\nprivate_key_path = \"~/key\"", "only a shell knows", "write `private_key_path", 2, 20),
    ("[identity]\nprivate_key_path = \"\"", "must not be empty", "write `private_key_path", 2, 20),
    ("[identity]\nprivate_key_path = \"/var/lib/\"", "ends with a slash", "write `private_key_path", 2, 20),
    ("[logging]\nlevel = \"inof\"", "found \"inof\"", "did you mean \"info\"?", 2, 9),
    ("[logging]\nlevel = \"info,a=b=c\"", "is not a tracing filter", "write `level = \"info\"`", 2, 9),
    ("[[quotas.windows]]\nduration = \"8h\"\n", "is missing `schedule`", "write `schedule = ", 1, 1),
    ("[[quotas.windows]]\nschedule = \"x\"\nduration = \"0s\"\n", "longer than 0s", "", 3, 12),
    ("[[quotas.windows]]\nschedule = \"x\"\nduration = \"8h\"\neffect = \"denny\"\n", "deny or allow", "effect = \"deny\"", 4, 10),
    ("[[quotas.windows]]\nschedule = 5\nduration = \"8h\"\n", "`schedule` must be a text; found 5", "write `schedule = ", 2, 12),
    ("[[quotas.windows]]\nschedule = \"x\"\nduration = \"8h\"\ntime_zon = \"UTC\"\n", "has no field `time_zon`", "`time_zone`", 4, 1),
    ("[quotas]\nwindows = 5\n", "must be a list of tables", "write [[quotas.windows]]", 2, 11),
];

#[rustfmt::skip]
const TOGETHER: &[Row] = &[
    ("[network]\ndata_port_range_start = 5201", "`network.data_port_range_end` is not", "write `data_port_range_end = 5210`", 2, 25),
    ("[network]\ndata_port_range_end = 5210", "`network.data_port_range_start` is not", "write `data_port_range_start = 5201`", 2, 23),
    ("[network]\ndata_port_range_start = 5210\ndata_port_range_end = 5201", "run backwards, from 5210 to 5201", "write `data_port_range_start = 5201`", 2, 25),
    ("[network]\ndata_port_range_start = 3990\ndata_port_range_end = 4010", "contain port 4000 of `network.listen_address`", "5201 to 5210", 2, 25),
    ("[network]\ndata_port_range_start = 7300\ndata_port_range_end = 7310", "contain port 7301 of `network.listen_address_health`", "5201 to 5210", 2, 25),
    ("[network]\nmode = \"direct_ephemeral\"", "needs data ports", "write `data_port_range_start = 5201`", 2, 8),
    ("[network]\nlisten_address = \"[::]:7301\"", "both want port 7301", "a port of its own", 2, 18),
    ("[iperf3]\ndefault_streams = 9", "more than `iperf3.max_streams` allows (8)", "write `default_streams = 8`", 2, 19),
];

/// The only problem of a text: what it says and where.
fn flaw(text: &str) -> (String, String, usize, usize) {
    let report = parse(text, &nothing()).unwrap_err();
    let [problem] = report.problems.as_slice() else { panic!("not one problem: {report}") };
    let Place::File { line, column, .. } = problem.place else { panic!("not in the file: {report}") };
    (problem.message.clone(), problem.help.clone().unwrap_or_default(), line, column)
}

fn check(rows: &[Row]) {
    for (text, message, help, line, column) in rows {
        let (said, helped, at_line, at_column) = flaw(text);
        assert!(said.contains(message), "{text}\n says: {said}");
        assert!(helped.contains(help) && !helped.is_empty(), "{text}\n helps: {helped}");
        assert_eq!((at_line, at_column), (*line, *column), "{text}");
    }
}

/// C1
#[test]
fn a_name_that_does_not_exist_is_told_with_its_place_and_what_to_write() {
    check(NAMES);
}

/// C1
#[test]
fn a_value_that_does_not_fit_is_told_with_its_place_and_what_to_write() {
    check(VALUES);
}

/// C1
#[test]
fn keys_that_contradict_each_other_are_told_with_their_place_and_what_to_write() {
    check(TOGETHER);
    let text = "[network]\ndata_port_range_start = 70000\ndata_port_range_end = 70001";
    assert_eq!(parse(text, &nothing()).unwrap_err().errors(), 2);
}

/// C1
#[test]
fn a_typo_is_shown_with_its_line_and_the_nearest_key() {
    let text = "[network]\n\nlisten_adress = \"0.0.0.0:4000\"\n";
    let source = Source { path: Some(Path::new("reflector.toml")), text };
    assert_eq!(
        parse_source(source, &nothing()).unwrap_err().to_string(),
        "error: `listen_adress` is no key of [network]
 --> reflector.toml:3:1
  |
3 | listen_adress = \"0.0.0.0:4000\"
  | ^^^^^^^^^^^^^
  = help: did you mean `listen_address`? For example `listen_address = \"0.0.0.0:4000\"`

1 error in the configuration"
    );
}

/// C1
#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = "[quotas]\ncooldown_sec = \"x\"\nmax_rat = 1\n[network]\nmode = \"auto\"\nmode = 1\nlisten_address = 4\n[foo]\n";
    let report = parse(text, &variables(&[("REFLECTOR__LOGGING__LEVEL", "loud")])).unwrap_err();
    let keys: Vec<&str> = report.problems.iter().map(|p| p.key.as_str()).collect();
    let expected =
        ["quotas.cooldown_sec", "quotas.max_rat", "mode", "network.listen_address", "foo", "logging.level"];
    assert_eq!(keys, expected);
    assert!(report.to_string().ends_with("6 errors in the configuration"));
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let report = parse("", &variables(&[("REFLECTOR__QUOTAS__MAX_RATE", "500M")])).unwrap_err();
    assert_eq!(
        report.to_string(),
        "error: `quotas.max_rate` must be a whole number from 12000 to 9223372036854775807; found \"500M\"
 --> environment variable REFLECTOR__QUOTAS__MAX_RATE
 = help: write REFLECTOR__QUOTAS__MAX_RATE=500000000

1 error in the configuration"
    );
    let report = parse("", &variables(&[("REFLECTOR__NETWORK__MOED", "auto")])).unwrap_err();
    assert!(report.to_string().contains("did you mean REFLECTOR__NETWORK__MODE?"), "{report}");
    let report = parse("", &variables(&[("REFLECTOR__NETWORK__DATA_PORT_RANGE_END", "5")])).unwrap_err();
    assert!(report.to_string().contains("variable REFLECTOR__NETWORK__DATA_PORT_RANGE_END"), "{report}");
}

#[test]
fn a_mistyped_endpoint_id_is_told_with_its_own_column() {
    let text = format!("[access]\nauthorized_peers = [\"{ID}\", \"{}M\"]", &ID[..68]);
    let (said, helped, line, column) = flaw(&text);
    assert!(said.contains("entry 2 is not an Endpoint ID: check symbol 'M'"), "{said}");
    assert!(helped.contains("copy the ID whole"), "{helped}");
    assert_eq!((line, column), (2, "authorized_peers = [".len() + ID.len() + 5));
}

#[test]
fn an_admin_socket_no_kernel_can_bind_is_refused() {
    good(&format!("[network]\nadmin_socket = \"/{}\"", "s".repeat(106)));
    let (said, _, _, column) = flaw(&format!("[network]\nadmin_socket = \"/{}\"", "s".repeat(107)));
    assert!(said.contains("has 108 bytes"), "{said}");
    assert_eq!(column, 16);
    let deep = format!("[identity]\nprivate_key_path = \"/{}/key\"", "s".repeat(107));
    assert!(flaw(&deep).1.contains("write `admin_socket = "));
}

#[test]
fn a_terminal_sees_no_escape_sequence_of_the_file_and_the_caret_stays_in_place() {
    let text = format!("[logging]\n\tlevel = \"\u{1b}[31mx\u{7}\" # {}", "é".repeat(500));
    let shown = parse(&text, &nothing()).unwrap_err().to_string();
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
    let long = format!("[logging]\nlevel = {}5", " ".repeat(400));
    let shown = parse(&long, &nothing()).unwrap_err().to_string();
    assert!(shown.contains(":2:409"), "{shown}");
    let caret = shown.lines().find(|line| line.contains('^')).unwrap().find('^').unwrap();
    let line = shown.lines().find(|line| line.starts_with("2 |")).unwrap();
    assert_eq!(line.chars().nth(caret), Some('5'), "{shown}");
}

#[test]
fn windows_are_read_and_written_and_bounded() {
    let text = "[[quotas.windows]]\nschedule = \"0 22 * * *\"\nduration = \"8h\"\neffect = \"deny\"\n";
    let loaded = parse(text, &nothing()).unwrap();
    assert_eq!(loaded.windows.len(), 1);
    assert_eq!(loaded.config.quotas.windows.len(), 1);
    assert_eq!(*loaded.windows[0].duration.get_ref(), Duration::from_secs(8 * 3600));
    assert_eq!(good(&loaded.to_toml()), loaded.config);
    let many = "[[quotas.windows]]\nschedule = \"0 22 * * *\"\nduration = \"8h\"\n";
    assert_eq!(good(&many.repeat(windows::MAX_WINDOWS)).quotas.windows.len(), 16);
    assert!(flaw(&many.repeat(windows::MAX_WINDOWS + 1)).0.contains("at most 16"));
}
