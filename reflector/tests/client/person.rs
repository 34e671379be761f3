//! Somebody with a home of their own who runs `reflector test`, and a reflector.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::bed::Bed;
use super::schema::check;

const SCHEMA: &str = include_str!("../../../docs/reference/test-result.schema.json");

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_reflector");

/// A person with a home of their own, and a reflector.
pub(crate) struct Person {
    pub(crate) bed: Bed,
    pub(crate) home: tempfile::TempDir,
}

impl Person {
    pub(crate) async fn beside(extra: &str) -> Self {
        Self::with(extra, &[]).await
    }

    pub(crate) async fn with(extra: &str, env: &[(&str, &str)]) -> Self {
        let bed = Bed::run(Path::new(PROGRAM), extra, env).await;
        Self { bed, home: tempfile::tempdir().unwrap() }
    }

    /// One that the reflector knows.
    pub(crate) async fn paired(extra: &str) -> Self {
        let person = Self::beside(extra).await;
        let code = person.bed.pair();
        let output = person.test(&["--code", &code, "-t", "1", "--up", "--udp", "1M"]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        person
    }

    pub(crate) fn address(&self) -> String {
        format!("{}@{}", self.bed.endpoint_id, self.bed.addr)
    }

    pub(crate) fn command(&self, address: &str, args: &[&str]) -> Command {
        let home = self.home.path();
        let config = home.join("client.toml");
        let key = home.join("key");
        std::fs::write(&config, format!("[identity]\nprivate_key_path = \"{}\"\n", key.display())).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(config).arg("test").arg(address).args(args);
        command.env("HOME", home).env_remove("XDG_STATE_HOME");
        command
    }

    pub(crate) fn test(&self, args: &[&str]) -> Output {
        self.command(&self.address(), args).output().unwrap()
    }

    /// A test that must end with this code; its JSON, which the published schema allows.
    pub(crate) fn json(&self, args: &[&str], code: i32) -> Value {
        let output = self.command(&self.address(), args).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
        let result = serde_json::from_slice(&output.stdout).unwrap();
        let schema = serde_json::from_str(SCHEMA).unwrap();
        check(&schema, &schema, &result, "").unwrap();
        result
    }
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn phase<'a>(result: &'a Value, name: &str) -> &'a Value {
    result["phases"].as_array().unwrap().iter().find(|phase| phase["name"] == name).unwrap()
}

/// No pause between tests, and as many as it takes.
pub(crate) const BUSY: &str = "[quotas]\ncooldown_sec = 0\nmax_tests_per_hour_per_peer = 100\n";
