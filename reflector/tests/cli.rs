//! The real program: exit codes, streams, where it looks for its configuration.
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

const ID: &str = "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K";

/// The program in an empty environment, with its state in `dir`.
fn reflector(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reflector"));
    command.env_clear().env("HOME", dir).stdin(Stdio::null()).current_dir(dir);
    command.env("REFLECTOR__IDENTITY__PRIVATE_KEY_PATH", dir.join("state/key"));
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    reflector(dir).args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// C1
#[test]
fn the_guides_example_is_right_and_its_warning_goes_to_stderr() {
    let dir = dir();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/guide-quadlet.toml");
    let output = run(dir.path(), &["-c", example.to_str().unwrap(), "config", "check"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output), format!("{} is right\n", example.display()));
    assert!(err(&output).starts_with("warning: the data ports 5201 to 5210 are ignored"), "{}", err(&output));
}

/// C1
#[test]
fn a_typo_is_exit_1_with_line_and_nearest_key_for_every_command_that_reads_the_file() {
    let dir = dir();
    let file = dir.path().join("r.toml");
    std::fs::write(&file, "[network]\nlisten_adress = \"0.0.0.0:4000\"\n").unwrap();
    for command in [&["config", "check"][..], &["status"], &["serve"], &["peers", "list"], &["show-id"]] {
        let output = run(dir.path(), &[&["-c", "r.toml"], command].concat());
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert_eq!(out(&output), "");
        assert!(err(&output).contains("--> r.toml:2:1"), "{}", err(&output));
        assert!(err(&output).contains("did you mean `listen_address`?"), "{}", err(&output));
    }
}

/// C1
#[test]
fn the_option_wins_over_the_variable_and_that_over_the_users_file() {
    let dir = dir();
    let user = dir.path().join(".config/reflector/reflector.toml");
    std::fs::create_dir_all(user.parent().unwrap()).unwrap();
    for (path, seconds) in [("c.toml", 1), ("v.toml", 2), (".config/reflector/reflector.toml", 3)] {
        std::fs::write(dir.path().join(path), format!("[quotas]\ncooldown_sec = {seconds}\n")).unwrap();
    }
    let cooldown = |command: &mut Command| out(&command.output().unwrap());
    let shown = cooldown(
        reflector(dir.path()).args(["config", "show", "-c", "c.toml"]).env("REFLECTOR_CONFIG", "v.toml"),
    );
    assert!(shown.contains("cooldown_sec = 1  # line 2"), "{shown}");
    let shown = cooldown(reflector(dir.path()).args(["config", "show"]).env("REFLECTOR_CONFIG", "v.toml"));
    assert!(shown.contains("cooldown_sec = 2  # line 2"), "{shown}");
    // Holds on hosts without /etc/reflector/reflector.toml; that one's place in the order is a unit test.
    if !Path::new("/etc/reflector/reflector.toml").exists() {
        let shown = cooldown(reflector(dir.path()).args(["config", "show"]));
        assert!(shown.contains("cooldown_sec = 3  # line 2"), "{shown}");
    }
}

/// C1
#[test]
fn a_named_file_that_is_missing_is_exit_1_and_not_the_defaults() {
    let dir = dir();
    for command in [
        reflector(dir.path()).args(["-c", "gone.toml", "config", "check"]),
        reflector(dir.path()).args(["config", "check"]).env("REFLECTOR_CONFIG", "gone.toml"),
    ] {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            err(&output),
            "error: read configuration gone.toml (check -c/--config and REFLECTOR_CONFIG): \
             No such file or directory (os error 2)\n"
        );
    }
}

#[test]
fn a_variable_that_is_wrong_is_exit_1_and_named() {
    let dir = dir();
    let mut command = reflector(dir.path());
    let output = command.args(["config", "check"]).env("REFLECTOR__NETWORK__MOED", "auto").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("did you mean REFLECTOR__NETWORK__MODE?"), "{}", err(&output));
}

/// C2
#[test]
fn a_wrong_command_line_is_exit_64_and_help_is_exit_0() {
    let dir = dir();
    for args in [
        &[][..],
        &["peers"],
        &["sreve"],
        &["status", "--jsno"],
        &["pair", "--ttl", "soon"],
        &["serve", "--bind", "everywhere"],
        &["--log-level", "loud", "status"],
        &["--color", "pink", "status"],
        &["peers", "add", "PP-7DN2"],
        &["completions", "tcsh"],
    ] {
        let output = run(dir.path(), args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{args:?}");
        assert!(!err(&output).is_empty(), "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["help", "pair"], &["peers", "revoke", "--help"]] {
        let output = run(dir.path(), args);
        assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""), "{args:?}");
        assert!(!out(&output).is_empty(), "{args:?}");
    }
    assert!(out(&run(dir.path(), &["status", "--help"])).contains("Exit codes:"));
}

/// C3
#[test]
fn status_without_a_reflector_is_exit_1_and_says_what_to_do() {
    let dir = dir();
    let output = run(dir.path(), &["status"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    let socket = dir.path().join("state/admin.sock");
    assert_eq!(
        err(&output),
        format!(
            "error: the reflector is not running (no socket at {}): start it with `reflector serve`\n",
            socket.display()
        )
    );
}

/// L5
#[test]
fn stdout_holds_only_the_answer_at_trace_and_logs_are_json_when_configured() {
    let dir = dir();
    let quiet = run(dir.path(), &["config", "show", "--json", "--log-level", "off"]);
    let mut loud = reflector(dir.path());
    loud.args(["config", "show", "--json", "--log-level", "trace"]).env("REFLECTOR__LOGGING__FORMAT", "json");
    let loud = loud.output().unwrap();
    assert_eq!(err(&quiet), "");
    let answer: serde_json::Value = serde_json::from_str(&out(&loud)).unwrap();
    let keys = answer["keys"].as_array().unwrap();
    assert_eq!(keys.iter().find(|key| key["key"] == "logging.level").unwrap()["value"], "\"trace\"");
    assert!(!err(&loud).is_empty());
    for line in err(&loud).lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(record["level"].is_string(), "{line}");
    }
}

#[test]
fn a_reader_that_hangs_up_is_no_error() {
    let dir = dir();
    let mut child = reflector(dir.path())
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
}

#[test]
fn colours_come_only_when_asked_for_in_a_pipe() {
    let dir = dir();
    let plain = run(dir.path(), &["status"]);
    assert!(!err(&plain).contains('\u{1b}'));
    let painted = run(dir.path(), &["--color", "always", "status"]);
    assert!(err(&painted).contains('\u{1b}'));
}

#[test]
fn the_shell_completes_with_scripts_for_bash_zsh_and_fish() {
    let dir = dir();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(dir.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(out(&output).contains("rotate-identity"), "{shell}");
    }
}

#[test]
fn an_answering_socket_is_enough_for_status() {
    use std::io::{BufRead, BufReader, Write};
    let dir = dir();
    std::fs::create_dir(dir.path().join("state")).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(dir.path().join("state/admin.sock")).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
        let answer = serde_json::json!({
            "answer": "status", "endpoint_id": ID, "version": "0.1.0", "uptime_sec": 1,
            "listen_address": "0.0.0.0:4000", "health_address": "0.0.0.0:7301", "network_position": "lan",
            "serving": false, "problems": ["no policy was ever loaded"], "connections": 0, "active_tests": 0,
            "policy": {"state": "never_loaded", "authorized": 0, "refused": 0, "broken": [], "foreign": 0},
            "pairing": null
        });
        writeln!(stream, "{answer}").unwrap();
    });
    let output = run(dir.path(), &["status"]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(out(&output).starts_with("not serving\n  ! no policy was ever loaded\n"), "{}", out(&output));
}

#[test]
fn before_the_first_start_a_command_says_what_makes_the_thing_it_misses() {
    let dir = dir();
    for (command, hint) in [
        (&["show-id"][..], "the first `reflector serve` makes it"),
        (&["rotate-identity"], "the first `reflector serve` makes it"),
        (&["export-identity", "--private-key"], "the first `reflector serve` makes it"),
        (&["peers", "list"], "the first `reflector serve` or `reflector peers add` makes it"),
        (&["status"], "start it with `reflector serve`"),
        (&["pair"], "start it with `reflector serve`"),
    ] {
        let output = run(dir.path(), command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(err(&output).contains(hint), "{command:?}: {}", err(&output));
    }
    let named =
        reflector(dir.path()).args(["peers", "list"]).env("REFLECTOR__ACCESS__PEERS_DIR", "gone").output();
    assert!(err(&named.unwrap()).contains("make it, or mend access.peers_dir"));
}

/// F7
#[test]
fn an_exported_key_is_the_key_file_and_comes_with_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let key = dir.path().join("state/key");
    std::fs::create_dir(dir.path().join("state")).unwrap();
    std::fs::write(&key, [0_u8; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = run(dir.path(), &["export-identity"]);
    assert_eq!((refused.status.code(), out(&refused).as_str()), (Some(64), ""));
    let exported = run(dir.path(), &["export-identity", "--private-key"]);
    assert_eq!(out(&exported), format!("{}=\n", "A".repeat(43)));
    assert!(err(&exported).contains("private key of PP-7DN2-"), "{}", err(&exported));
}

/// I1: another length or mode is exit 1, and nothing is changed.
#[test]
fn a_key_that_is_none_or_that_others_can_read_is_exit_1() {
    use std::os::unix::fs::PermissionsExt;
    for (bytes, mode, hint) in
        [(32_usize, 0o640, "chmod 600"), (31, 0o600, "has 31 bytes"), (33, 0o600, "has 33 bytes")]
    {
        let dir = dir();
        let key = dir.path().join("state/key");
        std::fs::create_dir(dir.path().join("state")).unwrap();
        std::fs::write(&key, vec![7; bytes]).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        for command in ["serve", "show-id"] {
            let output = run(dir.path(), &[command]);
            assert_eq!(output.status.code(), Some(1), "{command} with {bytes} bytes, mode {mode:o}");
            assert!(err(&output).contains(hint), "{}", err(&output));
        }
        assert_eq!(std::fs::read(&key).unwrap(), vec![7; bytes]);
    }
}

/// L2: the process ends right after its answer; the line must be in the log by then.
#[test]
fn a_rotation_without_a_server_is_in_the_audit_log() {
    let dir = dir();
    std::fs::create_dir(dir.path().join("state")).unwrap();
    let key = dir.path().join("state/key");
    std::fs::write(&key, [7; 32]).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let output = run(dir.path(), &["rotate-identity"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let log = std::fs::read_to_string(dir.path().join("state/audit.jsonl")).unwrap();
    assert!(log.contains("\"event_type\":\"identity_rotated\""), "{log}");
}

/// After a revocation nobody must read "authorized" about the same appliance in the next line.
#[test]
fn a_configured_peer_that_was_revoked_is_listed_once_and_as_suspended() {
    let dir = dir();
    std::fs::create_dir_all(dir.path().join("state/peers")).unwrap();
    let run = |args: &[&str]| {
        let output =
            reflector(dir.path()).env("REFLECTOR__ACCESS__AUTHORIZED_PEERS", ID).args(args).output().unwrap();
        (output.status.code(), out(&output), err(&output))
    };
    assert!(run(&["peers", "list"]).1.contains("config-7dn2-ff6e\tauthorized"));
    let (code, _, told) = run(&["peers", "remove", ID]);
    assert_eq!(code, Some(1));
    assert!(told.contains("access.authorized_peers") && told.contains("peers revoke"), "{told}");
    assert_eq!(run(&["peers", "revoke", ID]).0, Some(0));
    let listed = run(&["peers", "list"]).1;
    assert_eq!(listed.matches("7DN2-FF6E").count(), 1, "{listed}");
    assert!(listed.contains("suspended") && !listed.contains("authorized"), "{listed}");
    let (code, told, _) = run(&["peers", "remove", ID]);
    assert_eq!(code, Some(0));
    assert!(told.contains("still named by access.authorized_peers"), "{told}");
}

/// A folder that nobody reads must not look like a peer that was revoked.
#[test]
fn in_a_cluster_peers_are_not_edited_here() {
    let dir = dir();
    for command in [&["peers", "add", ID][..], &["peers", "remove", "a"], &["peers", "revoke", "a"]] {
        let mut program = reflector(dir.path());
        program.env("REFLECTOR__ACCESS__NAME", "attic").env("REFLECTOR__ACCESS__NAMESPACE", "homes");
        let output = program.args(command).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {}", err(&output));
        assert!(
            err(&output).contains("kubectl on the reflectorpeers of namespace homes"),
            "{}",
            err(&output)
        );
    }
}
