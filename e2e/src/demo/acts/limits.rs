//! Steps 5 and 6: a limit that is edited while a test runs cuts it, and a crash refills nothing.

use anyhow::{Result, ensure};
use tokio::time::Instant;

use super::super::screen::grouped;
use super::{PACE, Show, expect, number};

/// How much the edited limit leaves: 2.5 s at the pace, far above what an edit takes to act.
const LEFT: u64 = 50_000_000;

/// What a cut may be over its limit: 256 KiB for each of four streams.
const MOST_OVER: u64 = 4 * 256 * 1024;

impl Show {
    /// The limit that cut.
    pub(super) async fn a_limit_cuts_a_running_test(&mut self) -> Result<u64> {
        self.screen.step("A quota cuts a running test");
        self.screen.say("From here on this peer gets 160 Mbit/s, so that a running test can be watched:");
        self.edit(None)?;
        let running = self.begin().await?;
        let limit = self.bytes_today().await? + LEFT;
        self.screen.say("A download of 30 s is under way. Somebody limits this peer, in its manifest:");
        self.edit(Some(limit))?;
        let measured = running.end().await?;
        self.screen.output(measured.answer.trim_end());
        expect(&measured, 3)?;
        let end = self.newest_end().await?;
        ensure!(end["reason"] == "quota_exceeded", "the test ended for another reason: {end}");
        ensure!(number(&end, "bytes")? > LEFT, "cut too early: {end}");
        let today = self.bytes_today().await?;
        ensure!(today.abs_diff(limit) <= MOST_OVER, "not cut at the limit: {today} of {limit}");
        self.screen.good(&format!(
            "cut at {} of {}, with what was measured until then, and exit code 3",
            grouped(today),
            grouped(limit)
        ));
        self.screen.say("The next one asks in vain:");
        let denied = self.measured(&["--down"]).await?;
        self.screen.output(denied.told.trim_end());
        expect(&denied, 2)?;
        ensure!(denied.told.contains("today's bytes"), "denied for another reason: {}", denied.told);
        self.screen.good("denied until 00:00 UTC, with exit code 2");
        Ok(limit)
    }

    pub(super) async fn the_ledger_survives_a_crash(&mut self, limit: u64) -> Result<()> {
        self.screen.step("kill -9 in the middle of a test");
        self.screen.say("The limit is raised, a download starts, and the reflector is killed:");
        self.edit(Some(limit * 10))?;
        let running = self.begin().await?;
        let before = self.bytes_today().await?;
        self.screen.command("kill -9 $(pidof reflector)");
        self.stage.daemon()?.kill_9().await?;
        let measured = running.end().await?;
        ensure!(measured.code != 0, "a test whose reflector died was called complete");
        self.screen.say("While it is down the limit is put back. Then it starts again:");
        self.edit(Some(limit))?;
        self.screen.command("reflector serve");
        let began = Instant::now();
        self.stage.start().await?;
        self.screen.good(&format!("serving again after {} ms", began.elapsed().as_millis()));
        let today = self.bytes_today().await?;
        let lost = before.saturating_sub(today);
        self.screen.say(&format!("the ledger had {} before, and has {}", grouped(before), grouped(today)));
        ensure!(lost <= PACE, "the crash lost {lost} bytes, more than a second of traffic");
        ensure!(today + MOST_OVER >= limit, "the crash refilled the quota: {today} of {limit}");
        self.screen
            .good(&format!("lost at most one flush interval: {} bytes, under 1 s of traffic", grouped(lost)));
        let denied = self.measured(&["--down"]).await?;
        expect(&denied, 2)?;
        ensure!(denied.told.contains("today's bytes"), "denied for another reason: {}", denied.told);
        self.screen.good("and the next request is denied: nothing was refilled");
        Ok(())
    }
}
