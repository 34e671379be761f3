//! Steps 1 to 3: it starts, refuses a stranger, and is measured against by whoever has a code.

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;

use super::super::screen::grouped;
use super::{Show, expect, number};

impl Show {
    pub(super) async fn the_reflector_starts(&mut self) -> Result<()> {
        self.screen.step("Start a reflector");
        self.screen
            .say("Its configuration names a place for the key and a port. The first start makes the key.");
        self.screen.command("reflector serve");
        let began = Instant::now();
        self.stage.start().await?;
        self.screen
            .good(&format!("serving after {} ms; from a second terminal:", began.elapsed().as_millis()));
        self.stage.typed(&self.screen, &["status"]).await?;
        self.screen.say("The Endpoint ID is computed from the public key: whoever measures pins it.");
        Ok(())
    }

    pub(super) async fn a_stranger_is_refused(&mut self) -> Result<()> {
        self.screen.step("A stranger wants to measure");
        self.screen.say("Somebody with a good key, whom nobody has let in:");
        let refused = self.measured(&[]).await?;
        self.screen.output(refused.told.trim_end());
        expect(&refused, 2)?;
        ensure!(refused.answer.is_empty(), "a refusal has no result");
        ensure!(refused.told.contains("reflector pair"), "the refusal does not say how to get in");
        self.screen.good("refused, told how to get in, and exit code 2");
        Ok(())
    }

    pub(super) async fn a_code_pairs_and_a_test_runs_each_way(&mut self) -> Result<()> {
        self.screen.step("Pair, and measure");
        let told = self.stage.typed(&self.screen, &["pair", "--ttl", "5m"]).await?;
        let code =
            told.lines().find_map(|line| line.strip_prefix("code")).context("no code in the answer")?;
        let code = code.trim().to_lowercase();
        self.screen.say("The code works once; lower case will do. Down, then up, with the delay under load:");
        let measured = self.measured(&["--code", &code, "-t", "3", "--save"]).await?;
        self.screen.output(measured.answer.trim_end());
        expect(&measured, 0)?;
        let page = self.stage.page().context("no page was saved")?;
        let text = std::fs::read_to_string(&page).context("read the page")?;
        ensure!(text.contains("<svg"), "the page has no plot");
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        self.screen.good(&format!("measured, and kept: {name} opens from disk, with plots"));

        let peers = self.stage.json(&["peers", "list", "--json"]).await?;
        let peer = peers["peers"].get(0).context("no peer in the list")?;
        peer["name"].as_str().context("a peer without a name")?.clone_into(&mut self.name);
        self.stage.typed(&self.screen, &["peers", "list"]).await?;
        let ends = self.stage.audit("session_completed")?;
        ensure!(ends.len() == 2, "expected two tests on record: {ends:?}");
        let mut sum = 0;
        for end in &ends {
            ensure!(end["reason"] == "completed", "a test was cut: {end}");
            // What came and was never read is paid for too: a line says so when there was any.
            sum += number(end, "bytes")? + end["params"]["unread_bytes"].as_u64().unwrap_or(0);
        }
        let today = self.bytes_today().await?;
        ensure!(today == sum && sum > 0, "the account says {today}, the tests on record took {sum}");
        self.screen.good(&format!("the account of the day says {}: both tests, to the byte", grouped(today)));
        Ok(())
    }
}
