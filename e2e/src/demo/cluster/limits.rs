//! Before one's eyes: a quota that is edited cuts a running test, and a revocation another.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::super::acts::expect;
use super::super::screen::grouped;
use super::super::stage::until_every;
use super::Story;
use super::measuring::number;
use super::target::{NAMESPACE, REFLECTOR};

/// Calm for the machine, and slow enough to watch: 20 MB a second.
const PACE: &str = "160M";
/// How much the edited limit leaves: six seconds at the pace. A test is under way, and an edit loaded, long before.
const LEFT: u64 = 120_000_000;
/// What a cut may be over its limit: 256 KiB for each of four streams.
const MOST_OVER: u64 = 4 * 256 * 1024;
/// How far a test has come when something happens to it.
const UNDER_WAY: u64 = 10_000_000;
const LONG_DOWNLOAD: [&str; 5] = ["--down", "-t", "30", "-P", "4"];
/// How often the pod is asked.
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

impl Story {
    /// The limit that cut.
    pub(super) async fn a_quota_cuts_a_running_test(&mut self) -> Result<u64> {
        self.screen.step("A quota cuts a running test");
        self.screen.say("A pace at which a test can be watched, and a long download:");
        let peer = self.edit(&json!({ "maxRate": PACE })).await?;
        let before = number(&peer, "bytesToday")?;
        let limit = before + LEFT;
        let running = self.begin(&LONG_DOWNLOAD)?;
        self.bytes_move(before).await?;
        self.screen.say("It is under way. Somebody limits this appliance:");
        let peer = self.edit(&json!({ "bytesPerDay": limit })).await?;
        self.show_peers().await?;
        let so_far = number(&peer, "bytesToday")?;
        ensure!(so_far < limit, "{so_far} were used when the limit of {limit} came");
        let measured = running.end().await?;
        self.screen.output(measured.answer.trim_end());
        expect(&measured, 3)?;
        self.screen
            .good("cut, with what was measured until then, and exit code 3; the next one asks in vain:");
        let denied = self.measured(&["--down"]).await?;
        self.screen.output(denied.told.trim_end());
        expect(&denied, 2)?;
        ensure!(denied.told.contains("today's bytes"), "denied for another reason: {}", denied.told);
        self.screen.say("Until 00:00 UTC, or until somebody allows more:");
        let peer = self.edit(&json!({ "bytesPerDay": limit * 10 })).await?;
        let entry = &peer["status"]["reflectors"][0];
        ensure!(entry["lastTest"]["endReason"] == "quota_exceeded", "it ended otherwise: {entry}");
        let today = number(&peer, "bytesToday")?;
        ensure!(today.abs_diff(limit) <= MOST_OVER, "not cut at the limit: {today} of {limit}");
        self.screen.good(&format!("its account says {}: cut at {}", grouped(today), grouped(limit)));
        Ok(limit)
    }

    pub(super) async fn a_live_test_is_revoked(&mut self, limit: u64) -> Result<()> {
        self.screen.step("A revocation ends a running test");
        let before = number(&self.peer().await?, "bytesToday")?;
        let running = self.begin(&LONG_DOWNLOAD)?;
        self.bytes_move(before).await?;
        self.screen.say("A download is under way. Somebody wants this appliance out:");
        let revoke = ["kubectl", "reflector", "revoke", super::PEER, "-n", NAMESPACE];
        let told = self.target.typed(&self.screen, &revoke).await?;
        ensure!(told.contains("is shut out"), "it is not shut out");
        let measured = running.end().await?;
        let how = |line: &&str| line.starts_with("PHASE") || line.starts_with("down  ");
        self.screen.output(&measured.answer.lines().filter(how).collect::<Vec<_>>().join("\n"));
        ensure!(measured.code != 0, "a revoked test was called complete: {}", measured.answer);
        let entry = self.peer().await?["status"]["reflectors"][0].clone();
        ensure!(entry["lastTest"]["endReason"] == "suspended", "it ended otherwise: {entry}");
        let today = entry["usage"]["bytesToday"].as_u64().context("no use is written down")?;
        ensure!(today > limit && today < limit * 10, "its account says {today}");
        let latency = entry["revocation"]["latencyMs"].as_f64().context("no latency is written down")?;
        self.screen
            .good(&format!("{latency:.1} ms from the reflector's hearing of it to the last closed socket"));
        let refused = self.measured(&["--down"]).await?;
        self.screen.output(refused.told.trim_end());
        expect(&refused, 2)?;
        self.screen.good("and it stays out, with exit code 2");
        Ok(())
    }

    pub(super) async fn what_there_is(&mut self) -> Result<()> {
        self.screen.step("What there is now");
        self.show_peers().await?;
        let why = ["kubectl", "reflector", "why", super::PEER, "-n", NAMESPACE];
        self.target.typed(&self.screen, &why).await.map(drop)
    }

    /// Waits until a test is well under way, as the pod's metrics tell: what it writes into objects may be a minute old.
    async fn bytes_move(&self, before: u64) -> Result<()> {
        let label = format!("packetparamedic.io/reflector={REFLECTOR}");
        let pods = ["kubectl", "-n", NAMESPACE, "get", "pods", "-l", &label, "-o", "name"];
        let pods = self.target.run(&pods).await?;
        let pod = pods.trim().strip_prefix("pod/").with_context(|| format!("one pod, not '{pods}'"))?;
        let page = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:7301/proxy/metrics");
        until_every(LOOK, "test that moves bytes", async || {
            let metrics = self.target.run(&["kubectl", "get", "--raw", &page]).await?;
            Ok(bytes_today(&metrics).filter(|today| *today >= before + UNDER_WAY).map(drop))
        })
        .await
    }
}

/// What the metrics say of the appliance's use.
fn bytes_today(metrics: &str) -> Option<u64> {
    let of = format!("reflector_peer_bytes_today{{peer=\"{}\"}} ", super::PEER);
    metrics.lines().find_map(|line| line.strip_prefix(&of)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_use_is_read_of_the_appliance_and_no_other() {
        let line = |peer, bytes| format!("reflector_peer_bytes_today{{peer=\"{peer}\"}} {bytes}\n");
        assert_eq!(bytes_today(&(line("other", 7) + &line("living-room", 12))), Some(12));
        assert_eq!(bytes_today(&line("other", 7)), None);
    }
}
