//! Steps 5 and 6: a limit that is edited while a test runs cuts it exactly, and a crash refills nothing.

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::Test;
use e2e::appliance::data::{EndedBy, Limits};
use tokio::time::Instant;

use super::super::screen::grouped;
use super::super::stage::PACE;
use super::{Show, long_download, moved, number};

/// How far a test has come when its limit is edited or the reflector is killed.
const UNDER_WAY: u64 = 10_000_000;
/// How much the edited limit leaves: 2.5 s at the engine's pace, far above what an edit takes to act.
const LEFT: u64 = 50_000_000;

impl Show {
    /// The limit that cut.
    pub(super) async fn a_limit_cuts_a_running_test(&mut self) -> Result<u64> {
        self.screen.step("A quota cuts a running test");
        let before = self.bytes_today().await?;
        let (grant, running) = self.begin(&long_download(), Limits::default()).await?;
        moved(&running, UNDER_WAY).await?;
        let limit = before + running.bytes() + LEFT;
        self.screen.say("A download of 30 s is under way. Somebody limits this peer, in its manifest:");
        self.edit(limit)?;
        let ours = running.finish().await?;
        let line = self.stage.audited("session_completed", &grant.test_id).await?;
        let today = self.bytes_today().await?;
        self.screen.say(&format!(
            "the test ended: {}; appliance {}  reflector {}",
            line["reason"].as_str().unwrap_or_default(),
            grouped(ours.bytes),
            grouped(number(&line, "bytes")?)
        ));
        ensure!(ours.ended_by == EndedBy::Server, "nobody cut the test: {ours:?}");
        ensure!(line["reason"] == "quota_exceeded", "the test ended for another reason: {line}");
        ensure!(number(&line, "bytes")? == ours.bytes, "the two ends disagree");
        ensure!(today >= limit, "cut too early: {today} of {limit}");
        let over = today - limit;
        ensure!(over == 0, "overshoot: {over} bytes");
        self.screen.good(&format!("today {} of {}: overshoot {over} bytes", grouped(today), grouped(limit)));
        let denial = self.denied(&Test::throughput(30)).await?;
        self.screen.say("The appliance asks for its next test:");
        self.screen.output(&format!("{}: {}", denial.reason, denial.message));
        ensure!(denial.reason == "quota_exceeded", "denied for another reason");
        let wait = denial.retry_after_sec.context("a quota denial without a wait")?;
        ensure!((1..=24 * 60 * 60).contains(&wait), "the wait is not until midnight: {wait} s");
        self.screen.good(&format!("denied, with the exact wait: {wait} s, to 00:00 UTC"));
        Ok(limit)
    }

    pub(super) async fn the_ledger_survives_a_crash(&mut self, limit: u64) -> Result<()> {
        self.screen.step("kill -9 in the middle of a test");
        self.screen.say("The limit is raised, a download starts, and the reflector is killed:");
        self.edit(limit * 10)?;
        let (_, running) = self.begin(&long_download(), Limits::default()).await?;
        moved(&running, 2 * UNDER_WAY).await?;
        self.screen.command("kill -9 $(pidof reflector)");
        self.stage.daemon()?.kill_9().await?;
        let ours = running.finish().await?;
        self.link = None;
        self.screen.say("While it is down the limit is put back. Then it starts again:");
        self.edit(limit)?;
        self.screen.command("reflector serve");
        let began = Instant::now();
        self.stage.start().await?;
        self.screen.good(&format!("serving again after {} ms", began.elapsed().as_millis()));
        let today = self.bytes_today().await?;
        let known = today.saturating_sub(limit);
        let lost = ours.bytes.saturating_sub(known);
        self.screen.say(&format!(
            "of {} bytes that reached the appliance the ledger knows {}",
            grouped(ours.bytes),
            grouped(known)
        ));
        ensure!(lost <= PACE, "the crash lost {lost} bytes, more than a second of traffic");
        ensure!(today >= limit, "the crash refilled the quota: {today} of {limit}");
        self.screen
            .good(&format!("lost at most one flush interval: {} bytes, under 1 s of traffic", grouped(lost)));
        self.connect().await.context("connect after the restart")?;
        let denial = self.denied(&Test::throughput(30)).await?;
        ensure!(denial.reason == "quota_exceeded", "denied for another reason: {denial}");
        self.screen.good(&format!("and the next request is denied {}: nothing was refilled", denial.reason));
        Ok(())
    }

    /// Shows and makes an edit of the peer's manifest.
    pub(super) fn edit(&self, limit: u64) -> Result<()> {
        self.screen.command(&format!("$EDITOR peers/{}.yaml", self.name));
        self.screen.output(&format!("spec:\n  quotas:\n    bytesPerDay: {limit}"));
        self.stage.limit_bytes_per_day(&self.name, limit)
    }
}
