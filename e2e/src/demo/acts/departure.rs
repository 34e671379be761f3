//! Steps 7 to 10: revocation of a live test, a log that shows a changed byte, and an orderly end.

use anyhow::{Context as _, Result, ensure};

use super::super::stage::{PATIENCE, until};
use super::{Show, expect};

/// What is promised for a revocation, from the change to the last closed socket.
const PROMISED_MS: u64 = 2_000;

impl Show {
    pub(super) async fn a_live_test_is_revoked(&mut self) -> Result<()> {
        self.screen.step("Revoke the peer during a test");
        let today = self.bytes_today().await?;
        self.edit(Some(today * 10))?;
        until("limit in force", async || {
            Ok((self.stage.peer(&self.name).await?["bytes_remaining"].as_u64() > Some(0)).then_some(()))
        })
        .await?;
        let running = self.begin().await?;
        self.screen.say("A download is under way. Somebody wants this peer out:");
        let told = self.stage.typed(&self.screen, &["peers", "revoke", &self.name]).await?;
        let measured = running.end().await?;
        self.screen.output(measured.told.lines().next_back().unwrap_or_default());
        ensure!(measured.code != 0, "a revoked test was called complete: {}", measured.answer);
        let end = self.newest_end().await?;
        ensure!(end["reason"] == "suspended", "the test ended for another reason: {end}");
        let latency = latency_ms(&told).context("no latency in the answer")?;
        ensure!(latency < PROMISED_MS, "it took {latency} ms, promised are {PROMISED_MS} ms");
        self.screen.good(&format!(
            "from the change to the last closed socket: {latency} ms (promised: 2 s); the test ended with exit code {}",
            measured.code
        ));
        Ok(())
    }

    pub(super) async fn the_revoked_appliance_stays_out(&mut self) -> Result<()> {
        self.screen.step("It comes back");
        let refused = self.measured(&["--down"]).await?;
        self.screen.output(refused.told.trim_end());
        expect(&refused, 2)?;
        self.screen.say("Even with a code that was meant for another:");
        let told = self.stage.typed(&self.screen, &["pair"]).await?;
        let code =
            told.lines().find_map(|line| line.strip_prefix("code")).context("no code in the answer")?;
        let refused = self.measured(&["--code", code.trim(), "--down"]).await?;
        expect(&refused, 2)?;
        self.screen.good("refused again: who is revoked cannot pair");
        self.stage.typed(&self.screen, &["pair", "--close"]).await?;
        self.stage.typed(&self.screen, &["peers", "list"]).await?;
        Ok(())
    }

    pub(super) async fn a_changed_byte_is_found(&mut self) -> Result<()> {
        self.screen.step("Verify the audit log, then tamper with a copy");
        self.screen.say("Each line carries the hash of the one before.");
        self.stage.typed(&self.screen, &["audit", "verify"]).await?;
        let text = std::fs::read_to_string(self.stage.path("audit.jsonl")).context("read the audit log")?;
        let (line, forged) = tampered(&text).context("no finished test in the audit log")?;
        std::fs::write(self.stage.path("copy.jsonl"), forged).context("write the copy")?;
        self.screen.say(&format!("In a copy, one digit of a byte count changes, in line {line}:"));
        self.screen.command("reflector audit verify copy.jsonl");
        let said = self.stage.run(&["audit", "verify", "copy.jsonl"]).await?;
        self.screen.output(said.text.trim_end());
        ensure!(said.code == 2, "expected exit code 2, got {}", said.code);
        ensure!(said.text.contains(&format!("copy.jsonl:{line}:")), "the line is not named");
        self.screen.good(&format!("found, with its line; exit code {}", said.code));
        Ok(())
    }

    pub(super) async fn it_stops_when_told(&mut self) -> Result<()> {
        self.screen.step("Stop it");
        self.screen.command("kill $(pidof reflector)");
        let daemon = self.stage.daemon()?;
        daemon.sigterm()?;
        let status = daemon.wait(PATIENCE).await?;
        ensure!(status.code() == Some(0), "it ended with {status}");
        self.screen.good("drained, everything on disk, exit code 0");
        let said = self.stage.run(&["status"]).await?;
        self.screen.command("reflector status");
        self.screen.output(said.text.trim_end());
        ensure!(said.code == 1, "expected exit code 1 for a reflector that is gone, got {}", said.code);
        Ok(())
    }
}

/// `…; 1 connection closed after 3 ms`
fn latency_ms(told: &str) -> Option<u64> {
    told.trim_end().strip_suffix(" ms")?.rsplit(' ').next()?.parse().ok()
}

/// The log with one digit of a byte count changed, and the number of that line.
fn tampered(log: &str) -> Option<(usize, String)> {
    let index = log.lines().position(|line| line.contains("\"event_type\":\"session_completed\""))?;
    let mut lines: Vec<String> = log.lines().map(str::to_owned).collect();
    let line = lines.get_mut(index)?;
    let at = line.find("\"bytes\":")? + "\"bytes\":".len();
    let other = if line.get(at..=at)? == "1" { "2" } else { "1" };
    line.replace_range(at..=at, other);
    Some((index + 1, lines.join("\n") + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_is_read_from_the_answer() {
        assert_eq!(latency_ms("revoked x (y): it is shut out; 2 connections closed after 31 ms\n"), Some(31));
        assert_eq!(latency_ms("revoked x (y): the reflector is not running"), None);
    }

    #[test]
    fn a_copy_differs_in_one_digit_of_one_line() {
        let log = "{\"event_type\":\"peer_paired\",\"bytes\":null}\n{\"event_type\":\"session_completed\",\"bytes\":120}\n";
        let (line, copy) = tampered(log).unwrap();
        assert_eq!((line, copy), (2, log.replace("120", "220")));
        assert_eq!(tampered("{\"event_type\":\"peer_paired\"}\n"), None);
    }
}
