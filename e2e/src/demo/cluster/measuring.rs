//! An appliance is let in and measures: with our client, and with an iperf3 that knows nothing of us.

use anyhow::{Context as _, Result, ensure};
use e2e::measuring::{Measured, Measuring};
use e2e::parts::debian::find;
use e2e::proc::Ready;
use serde_json::{Value, json};

use super::super::acts::expect;
use super::super::stage::PATIENCE;
use super::target::{NAMESPACE, REFLECTOR};
use super::{PEER, Story};

/// The object as kubectl names it.
pub(super) const OBJECT: &str = "reflectorpeer/living-room";

impl Story {
    pub(super) async fn an_appliance_pairs_and_measures(&mut self) -> Result<()> {
        self.screen.step("An appliance pairs, and measures");
        let pair = ["kubectl", "reflector", "pair", PEER, "--reflector", REFLECTOR, "-n", NAMESPACE];
        let told = self.target.typed(&self.screen, &pair).await?;
        let code = code(&told).with_context(|| format!("find the code in: {told}"))?.to_owned();
        self.screen
            .say("Whoever stands at the appliance types it. Down, then up, with the delay under load:");
        let measured = self.measured(&["--code", &code, "-t", "2"]).await?;
        self.screen.output(measured.answer.trim_end());
        expect(&measured, 0)?;
        self.target.wait(OBJECT, ".status.conditions[?(@.type==\"Ready\")].status", "True").await?;
        self.screen.good("paired and measured; the code is used up, and its Secret gone");
        self.screen.say("No pause between two tests, from now on. What is edited is in force at once:");
        let peer = self.edit(&json!({ "cooldown": "0s" })).await?;
        ensure!(number(&peer, "testsToday")? > 0, "its use is not written down: {}", peer["status"]);
        self.show_peers().await
    }

    pub(super) async fn a_stock_iperf3_measures(&mut self) -> Result<()> {
        self.screen.step("A stock iperf3, through the one open port");
        let Some(iperf3) = find("iperf3") else {
            self.screen.say("SKIPPED: there is no iperf3 on this machine (Debian package iperf3).");
            return Ok(());
        };
        self.screen.say("On the appliance's machine, in two terminals:");
        self.screen.command(&format!("reflector connect {}", self.short_address()));
        let mut forwarder = self.tester.daemon(&["connect", &self.address]).start()?;
        forwarder.ready(&Ready::Line("forwarding".into()), PATIENCE).await?;
        let iperf3 = iperf3.to_string_lossy();
        for words in [&["-c", "127.0.0.1", "-t", "2"][..], &["-c", "127.0.0.1", "-t", "2", "-R"][..]] {
            self.screen.command(&format!("iperf3 {}", words.join(" ")));
            let run = Measuring::start(self.tester.command(&iperf3, words))?.end().await?;
            ensure!(run.code == 0, "iperf3 failed: {}{}", run.answer, run.told);
            let ends = |line: &&str| ["sender", "receiver"].iter().any(|end| line.trim_end().ends_with(end));
            self.screen.output(&run.answer.lines().filter(ends).collect::<Vec<_>>().join("\n"));
        }
        forwarder.sigterm()?;
        let status = forwarder.wait(PATIENCE).await?;
        ensure!(status.success(), "`reflector connect` ended with {status}: {}", forwarder.stderr()?);
        self.screen.good("both ways");
        Ok(())
    }

    /// Shows a measurement as one would type it on the appliance, and runs it to its end.
    pub(super) async fn measured(&self, words: &[&str]) -> Result<Measured> {
        self.begin(words)?.end().await
    }

    /// Shows a measurement and starts it.
    pub(super) fn begin(&self, words: &[&str]) -> Result<Measuring> {
        self.screen.command(&format!("reflector test {} {}", self.short_address(), words.join(" ")));
        let words: Vec<&str> = [self.address.as_str()].into_iter().chain(words.iter().copied()).collect();
        self.tester.measure(&words)
    }

    /// Edits the peer's quotas, and waits until the reflector has taken them up; it writes its numbers along.
    pub(super) async fn edit(&self, quotas: &Value) -> Result<Value> {
        let patch = json!({ "spec": { "quotas": quotas } }).to_string();
        let words = ["kubectl", "-n", NAMESPACE, "patch", OBJECT, "--type=merge", "-p", &patch];
        self.target.typed(&self.screen, &words).await?;
        let generation = self.peer().await?["metadata"]["generation"].to_string();
        self.target.wait(OBJECT, ".status.reflectors[0].loadedGeneration", &generation).await?;
        // The operator sums up what the pod wrote.
        self.target.wait(OBJECT, ".status.observedGeneration", &generation).await?;
        self.peer().await
    }

    /// The object as it is now.
    pub(super) async fn peer(&self) -> Result<Value> {
        self.target.object("reflectorpeer", PEER).await
    }

    pub(super) async fn show_peers(&self) -> Result<()> {
        let words = ["kubectl", "-n", NAMESPACE, "get", "reflectors,reflectorpeers"];
        self.target.typed(&self.screen, &words).await.map(drop)
    }

    fn short_address(&self) -> String {
        let (id, at) = self.address.split_once('@').unwrap_or_default();
        format!("{}…@{at}", id.get(..7).unwrap_or_default())
    }
}

/// A number of its use today, as its reflector wrote it.
pub(super) fn number(peer: &Value, field: &str) -> Result<u64> {
    let usage = &peer["status"]["reflectors"][0]["usage"];
    usage[field].as_u64().with_context(|| format!("no {field} in its use: {usage}"))
}

/// `Code for living-room:   AB10-2345`
fn code(told: &str) -> Option<&str> {
    let line = told.lines().find(|line| line.starts_with("Code for "))?;
    line.rsplit(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_what_the_plugin_shows() {
        let golden = include_str!("../../../../operator/src/plugin/golden/pair.txt");
        assert_eq!(code(golden), Some("AB10-2345"));
        assert_eq!(code("no code"), None);
    }

    #[test]
    fn the_object_is_the_peers() {
        assert_eq!(OBJECT.rsplit('/').next(), Some(PEER));
    }
}
