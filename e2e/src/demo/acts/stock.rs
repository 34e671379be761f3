//! Step 4: an appliance asks for a test and runs it with an iperf3 that knows nothing of us, through the one port.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::{Appliance, Connection, Key, Test};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::super::screen::grouped;
use super::super::stage::PATIENCE;
use super::{Show, number};

impl Show {
    pub(super) async fn a_stock_iperf3_measures(&mut self) -> Result<()> {
        self.screen.step("A stock iperf3, as appliances use it");
        let version = Command::new("iperf3").arg("--version").stdin(Stdio::null()).output().await;
        let Ok(version) = version else {
            self.screen.say("SKIPPED: there is no iperf3 on this machine (Debian package iperf3).");
            return Ok(());
        };
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let key = Key::generate();
        self.stage.typed(&self.screen, &["peers", "add", &key.endpoint_id(), "--name", "appliance"]).await?;
        let (mut link, _) = Appliance::builder(key).wait(PATIENCE).open(self.stage.addr).await?;
        self.screen
            .say(&format!("{} runs where the grant says:", version.lines().next().unwrap_or("iperf3")));
        for (what, test) in [("upload", Test::throughput(2)), ("download", Test::throughput(2).download())] {
            self.one_way(&mut link, what, &test).await?;
        }
        self.screen.good("upload and download on one connection, one port, both ends agree");
        Ok(())
    }

    async fn one_way(&self, link: &mut Connection, what: &str, test: &Test) -> Result<()> {
        let grant = link.request(test).await?.granted()?;
        let (host, port) = (self.stage.addr.ip().to_string(), grant.port.to_string());
        let streams = STREAMS.to_string();
        let mut args = vec!["-c", &host, "-p", &port, "-t", "2", "-P", &streams, "-J"];
        if what == "download" {
            args.push("-R");
        }
        self.screen.command(&format!("iperf3 {}", args.join(" ")));
        let run = Command::new("iperf3").args(&args).stdin(Stdio::null()).kill_on_drop(true).output();
        let output = timeout(PATIENCE, run).await.context("iperf3 did not end")?.context("start iperf3")?;
        let said: Value = serde_json::from_slice(&output.stdout).context("read the answer of iperf3")?;
        ensure!(output.status.success() && said.get("error").is_none(), "iperf3 failed: {said}");
        // Who receives knows what arrived.
        let theirs = said["end"]["sum_received"]["bytes"].as_u64().context("iperf3 gave no sum_received")?;
        let rate = said["end"]["sum_received"]["bits_per_second"].as_f64().unwrap_or_default();
        let record = self.stage.audited("session_completed", &grant.test_id).await?;
        let ours = number(&record, "bytes")?;
        self.screen.say(&format!(
            "{what:<9} {:>6.2} Gbit/s   iperf3 {}   reflector {}",
            rate / 1e9,
            grouped(theirs),
            grouped(ours)
        ));
        ensure!(record["reason"] == "completed", "the {what} was cut: {record}");
        let way = if what == "download" { on_the_way()? * STREAMS } else { 0 };
        ensure!(agree(ours, theirs, way), "the two ends differ by more than 1 % and what was on the way");
        Ok(())
    }
}

/// Streams of an appliance's test.
const STREAMS: u64 = 4;

/// Whether both ends tell the same story. A receiver stops by its own clock and never reads what the sockets still hold,
/// so a sender may have counted that much more; never less.
fn agree(ours: u64, theirs: u64, on_the_way: u64) -> bool {
    ours.abs_diff(theirs) <= ours / 100 || (theirs <= ours && ours - theirs <= on_the_way)
}

/// What one TCP connection of this machine holds at most: a full send buffer and a full receive buffer.
fn on_the_way() -> Result<u64> {
    let mut sum = 0;
    for file in ["/proc/sys/net/ipv4/tcp_wmem", "/proc/sys/net/ipv4/tcp_rmem"] {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {file}"))?;
        // Least, default, most.
        let most =
            text.split_whitespace().nth(2).with_context(|| format!("{file} holds no three numbers"))?;
        sum += most.parse::<u64>().with_context(|| format!("read a number of {file}"))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_may_be_ahead_by_what_the_sockets_hold_and_a_receiver_by_nothing() {
        assert!(agree(1000, 990, 0) && agree(1000, 1010, 0), "1 % either way");
        assert!(agree(1000, 900, 100));
        assert!(!agree(1000, 899, 100), "more than was on the way");
        assert!(!agree(1000, 1100, 100), "received what was never sent");
    }

    #[test]
    fn this_machine_tells_what_its_sockets_hold() {
        assert!(on_the_way().unwrap() > 0);
    }
}
