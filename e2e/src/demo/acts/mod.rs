//! The steps of the demo, in order. Each says what is done, does it, and fails unless what it says came true.

mod arrival;
mod departure;
mod limits;
mod stock;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use e2e::measuring::{Measured, Measuring};
use serde_json::Value;

use super::screen::Screen;
use super::stage::{Limits, Stage, until};

/// Bytes a second at most in the steps where a running test is watched: slow enough for that, and calm for the machine.
const PACE: u64 = 20_000_000;

/// How far a test has come when something happens to it.
const UNDER_WAY: u64 = 10_000_000;

/// What the appliance sends up in these steps is a few bytes of the protocol; four streams of test data come down.
const LONG_DOWNLOAD: [&str; 5] = ["--down", "-t", "30", "-P", "4"];

/// Everybody who takes part.
pub(super) struct Show {
    pub(super) stage: Stage,
    pub(super) screen: Screen,
    /// The name the measuring side got when it was paired.
    name: String,
}

impl Show {
    /// Everything in place, nothing running.
    pub(super) fn open(program: PathBuf, screen: Screen) -> Result<Self> {
        Ok(Self { stage: Stage::new(program)?, screen, name: String::new() })
    }

    /// All steps.
    pub(super) async fn play(&mut self) -> Result<()> {
        self.the_reflector_starts().await?;
        self.a_stranger_is_refused().await?;
        self.a_code_pairs_and_a_test_runs_each_way().await?;
        self.a_stock_iperf3_measures().await?;
        let limit = self.a_limit_cuts_a_running_test().await?;
        self.the_ledger_survives_a_crash(limit).await?;
        self.a_live_test_is_revoked().await?;
        self.the_revoked_appliance_stays_out().await?;
        self.a_changed_byte_is_found().await?;
        self.it_stops_when_told().await
    }

    /// Shows a measurement as one would type it, and runs it to its end.
    async fn measured(&self, args: &[&str]) -> Result<Measured> {
        self.show_measurement(args);
        self.stage.measure(args)?.end().await
    }

    /// Shows a long download, starts it, and waits until its bytes move.
    async fn begin(&self) -> Result<Measuring> {
        let before = self.bytes_today().await?;
        self.show_measurement(&LONG_DOWNLOAD);
        let running = self.stage.measure(&LONG_DOWNLOAD)?;
        until("moving bytes", async || Ok((self.bytes_today().await? >= before + UNDER_WAY).then_some(())))
            .await?;
        Ok(running)
    }

    fn show_measurement(&self, args: &[&str]) {
        let id = self.stage.endpoint_id.get(..7).unwrap_or_default();
        self.screen.command(&format!("reflector test {id}…@{} {}", self.stage.addr, args.join(" ")));
    }

    /// What the reflector says this peer has moved today.
    async fn bytes_today(&self) -> Result<u64> {
        number(&self.stage.peer(&self.name).await?, "bytes_today")
    }

    /// Shows and makes an edit of the peer's manifest.
    fn edit(&self, bytes_per_day: Option<u64>) -> Result<()> {
        let limits = Limits { bytes_per_day, max_rate: PACE * 8 };
        self.screen.command(&format!("$EDITOR peers/{}.yaml", self.name));
        self.screen.output(&format!("spec:\n{limits}"));
        self.stage.limit(&self.name, limits)
    }

    /// The end of the newest granted test, once the audit log has it.
    async fn newest_end(&self) -> Result<Value> {
        let granted = self.stage.audit("session_granted")?;
        let newest = granted.last().context("no test was granted")?;
        let test_id = newest["test_id"].as_str().context("a grant without a test_id")?;
        self.stage.audited("session_completed", test_id).await
    }
}

/// A measurement ended with this exit code and no other.
pub(super) fn expect(measured: &Measured, code: i32) -> Result<()> {
    let Measured { code: got, answer, told } = measured;
    ensure!(*got == code, "`reflector test` ended with exit code {got}, not {code}: {answer}{told}");
    Ok(())
}

/// A field that must hold a number.
fn number(line: &Value, field: &str) -> Result<u64> {
    line[field].as_u64().with_context(|| format!("no number `{field}` in {line}"))
}
