//! Stock iperf3 as a client.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

/// Which iperf3, and whether there is one.
pub(crate) fn is_installed() -> bool {
    let found = std::process::Command::new("iperf3").arg("--version").output().is_ok();
    if !found {
        e2e::skipping::skip_test("iperf3 (Debian package iperf3)");
    }
    found
}

/// A test against this address, from that one. The JSON it printed, whatever it says.
pub(crate) async fn run(to: SocketAddr, from: IpAddr, more: &[&str]) -> Value {
    let mut command = Command::new("iperf3");
    command.args(["-c", &to.ip().to_string(), "-p", &to.port().to_string(), "-B", &from.to_string(), "-J"]);
    command.args(more).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(crate::bed::PATIENCE, command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{more:?}: {error}\n{text}"))
}

/// Bytes that the receiver saw, of a test that went well.
pub(crate) fn received(result: &Value) -> u64 {
    assert!(result.get("error").is_none(), "{result}");
    result["end"]["sum_received"]["bytes"].as_u64().unwrap_or_else(|| panic!("{result}"))
}
