//! Where it is measured: a network namespace of our own if we may, and one line about the rest.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::contenders::Place;
use super::options::Options;

/// Set in the process that is inside already.
const INSIDE: &str = "REFLECTOR_BENCH_INSIDE";
const CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Runs this program again in a network namespace where the congestion control is cubic for everybody; says whether
/// we are in there. Without root we stay where we are, and the header says what was used.
pub(crate) fn enter_own_network() -> Result<bool> {
    if is_in_own_network() {
        return Ok(true);
    }
    if !rustix::process::geteuid().is_root() {
        return Ok(false);
    }
    // By route, as a namespace may not choose among congestion controls that its host does not allow to everybody.
    let routes = ["127.0.0.0/8", "127.0.0.1"].map(|to| {
        format!("ip route replace local {to} dev lo proto kernel scope host src 127.0.0.1 table local congctl cubic")
    });
    let script = format!("ip link set lo up && {} && exec \"$0\" \"$@\"", routes.join(" && "));
    let mut attempt = Command::new("unshare");
    attempt.args(["-n", "sh", "-c"]).arg(script.replace("exec \"$0\" \"$@\"", "true"));
    if !attempt.output().is_ok_and(|output| output.status.success()) {
        return Ok(false);
    }
    let program = std::env::current_exe()?;
    let mut again = Command::new("unshare");
    again.args(["-n", "sh", "-c", &script]).arg(program).args(std::env::args_os().skip(1)).env(INSIDE, "1");
    // Comes back only if it fails.
    Err(again.exec()).context("run in a network namespace")
}

/// Whether nobody but us uses the network.
pub(crate) fn is_in_own_network() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Bytes that the interfaces of our own network have carried so far, headers included, by the kernel's count.
pub(crate) fn carried() -> Option<u64> {
    if !is_in_own_network() {
        return None;
    }
    let text = fs::read_to_string("/proc/self/net/dev").ok()?;
    let interfaces = text.lines().filter_map(|line| line.split_once(':'));
    let each = interfaces.map(|(_, counts)| {
        let counts: Vec<u64> = counts.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // Received or sent: what goes over the loopback interface counts as both.
        Some(*counts.first()?.max(counts.get(8)?))
    });
    each.sum()
}

/// Congestion control that both sides use.
pub(crate) fn congestion() -> String {
    if is_in_own_network() {
        return "cubic".to_owned();
    }
    fs::read_to_string(CONTROL).unwrap_or_default().trim().to_owned()
}

/// Everything a number needs to mean something.
pub(crate) fn header(options: &Options, in_own_network: bool, place: &Place) -> String {
    let mtu = fs::read_to_string("/sys/class/net/lo/mtu").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    let network = if in_own_network { "a network namespace of its own" } else { "the host's network" };
    let peers: Vec<String> = place.iperfs().map(|(version, _)| version.clone()).collect();
    let peers = if peers.is_empty() { "none".to_owned() } else { peers.join(", ") };
    format!(
        "{date}, {machine}, load {load} at the start\n\
         loopback, MTU {mtu}, in {network}; congestion control {congestion} on both sides\n\
         reflector {version}; iperf3 {peers}; tokio and tokio-rustls as in Cargo.lock\n\
         {rounds} rounds of {seconds} s each after a discarded one, taking turns",
        date = jiff::Timestamp::now().strftime("%Y-%m-%d"),
        machine = e2e::machine::describe(),
        mtu = mtu.trim(),
        congestion = congestion(),
        version = env!("CARGO_PKG_VERSION"),
        rounds = options.rounds,
        seconds = options.seconds,
    )
}
