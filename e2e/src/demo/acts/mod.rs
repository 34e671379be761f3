//! The steps of the demo, in order. Each says what is done, does it, and fails unless what it says came true.

mod arrival;
mod departure;
mod limits;

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::appliance::data::{Limits, Running, Target, transfer};
use e2e::appliance::{Answer, Appliance, Connection, Denial, Direction, Grant, Key, Test, data};
use serde_json::Value;

use super::build::Programs;
use super::calm;
use super::screen::Screen;
use super::stage::{PATIENCE, Stage, until};

/// Longest wait that a denial may ask of the demo: the cooldown is 5 s.
const LONGEST_WAIT: u64 = 10;

/// Everybody who takes part.
pub(super) struct Show {
    pub(super) stage: Stage,
    pub(super) screen: Screen,
    /// The appliance's identity.
    key: Key,
    /// The name it got when it was paired.
    name: String,
    link: Option<Connection>,
}

impl Show {
    /// Everything in place, nothing running.
    pub(super) fn open(programs: Programs, screen: Screen) -> Result<Self> {
        Ok(Self {
            stage: Stage::new(programs)?,
            screen,
            key: Key::generate(),
            name: String::new(),
            link: None,
        })
    }

    /// All steps.
    pub(super) async fn play(&mut self) -> Result<()> {
        self.the_reflector_starts().await?;
        self.a_stranger_is_refused().await?;
        self.a_code_pairs_the_appliance().await?;
        self.a_test_runs_each_way().await?;
        let limit = self.a_limit_cuts_a_running_test().await?;
        self.the_ledger_survives_a_crash(limit).await?;
        self.a_live_test_is_revoked().await?;
        self.the_revoked_appliance_stays_out().await?;
        self.a_changed_byte_is_found().await?;
        self.it_stops_when_told().await
    }

    fn appliance(&self) -> Appliance {
        Appliance::builder(self.key.clone()).wait(PATIENCE)
    }

    /// Connects and says hello.
    async fn connect(&mut self) -> Result<Value> {
        let (link, hello) = self.appliance().open(self.stage.addr).await?;
        self.link = Some(link);
        Ok(hello)
    }

    fn link(&mut self) -> Result<&mut Connection> {
        self.link.as_mut().context("the appliance is not connected")
    }

    /// Asks for a test; a cooldown is waited for, exactly as long as the reflector says.
    async fn ask(&mut self, test: &Test) -> Result<Answer> {
        loop {
            match self.link()?.request(test).await? {
                Answer::Denied(denial) if denial.reason == "rate_limited" => {
                    let wait = denial.retry_after_sec.context("rate_limited without a wait")?;
                    ensure!((1..=LONGEST_WAIT).contains(&wait), "told to wait {wait} s");
                    self.screen.say(&format!("(cooldown between tests: told to wait {wait} s, and waits)"));
                    calm::rest(Duration::from_secs(wait)).await;
                }
                answer => return Ok(answer),
            }
        }
    }

    /// A running test.
    async fn begin(&mut self, test: &Test, limits: Limits) -> Result<(Grant, Running<data::Moved>)> {
        let grant = self.ask(test).await?.granted()?;
        let direction = if test.reverse == Some(true) { Direction::Download } else { Direction::Upload };
        let running = transfer(&Target::from(&grant), direction, limits);
        Ok((grant, running))
    }

    /// A request that must be denied.
    async fn denied(&mut self, test: &Test) -> Result<Denial> {
        self.ask(test).await?.denied().context("the request was granted")
    }

    /// What the reflector says this peer has moved today.
    async fn bytes_today(&self) -> Result<u64> {
        self.stage.peer().await?["bytes_today"].as_u64().context("no bytes_today in the list")
    }
}

/// Waits until so many bytes have moved.
async fn moved(running: &Running<data::Moved>, bytes: u64) -> Result<()> {
    until("moving bytes", async || Ok((running.bytes() >= bytes).then_some(()))).await
}

/// A download that lasts until somebody ends it.
fn long_download() -> Test {
    Test::throughput(30).download()
}

/// A field that must hold a number.
fn number(line: &Value, field: &str) -> Result<u64> {
    match line[field].as_u64() {
        Some(number) => Ok(number),
        None => bail!("no number `{field}` in {line}"),
    }
}
