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
        let mut args = vec!["-c", &host, "-p", &port, "-t", "2", "-P", "4", "-J"];
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
        ensure!(ours.abs_diff(theirs) <= ours / 100, "the two ends differ by more than 1 %");
        Ok(())
    }
}
