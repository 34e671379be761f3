//! `cargo bed check`: starts a bed, kills the start in the middle, starts it again, ends it, and looks for traces.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval, timeout};

use super::interrupt;
use super::state::State;
use super::traces;

/// A start or an end that takes longer hangs. The programs are built by then.
const COMMAND: Duration = Duration::from_secs(180);
/// The kernel takes namespaces apart in its own time.
const SETTLE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Does it so many times. The bed's programs must be built; no bed may run.
pub(super) async fn check(folder: &Path, rounds: u8, argocd: bool) -> Result<()> {
    let running = State::read(folder).ok().flatten().is_some();
    ensure!(!running, "a bed runs here, and this would end it; end it yourself: cargo bed down");
    let up: &[&str] = if argocd { &["up", "--argocd"] } else { &["up"] };
    let before = traces::list();
    for round in 1..=rounds {
        let began = Instant::now();
        let components = interrupt::moment(round);
        interrupt::kill_after(bed(up)?, components).await?;
        succeeds(bed(up)?, "start again after a kill").await?;
        let up_after = began.elapsed();
        succeeds(bed(up)?, "start what runs").await?;
        succeeds(bed(&["appliance", "add", "check"])?, "add an appliance").await?;
        let ending = Instant::now();
        succeeds(bed(&["down"])?, "end it").await?;
        nothing_new(&before).await.with_context(|| format!("round {round}"))?;
        succeeds(bed(&["down"])?, "end what has ended").await?;
        anstream::println!(
            "round {round}: killed with {components} components up, up again {:.1} s after the first start, down in {:.1} s, nothing left",
            up_after.as_secs_f32(),
            ending.elapsed().as_secs_f32(),
        );
    }
    nothing_new(&before).await
}

fn bed(words: &[&str]) -> Result<Child> {
    let words = ["bed"].iter().chain(words).map(OsStr::new);
    let mut command = Command::new("/proc/self/exe");
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("start a bed command")
}

async fn succeeds(command: Child, what: &str) -> Result<()> {
    let output =
        timeout(COMMAND, command.wait_with_output()).await.with_context(|| format!("{what}: hangs"))?;
    let output = output.with_context(|| format!("wait for: {what}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{what}: {} says {}", output.status, said.trim());
    Ok(())
}

async fn nothing_new(before: &BTreeSet<String>) -> Result<()> {
    let began = Instant::now();
    let mut tick = interval(LOOK_AGAIN);
    loop {
        tick.tick().await;
        let now = traces::list();
        let new: Vec<&str> = now.difference(before).map(String::as_str).collect();
        if new.is_empty() {
            return Ok(());
        }
        ensure!(
            began.elapsed() < SETTLE,
            "this was not there before; the bed left it, or something else here made it meanwhile:\n{}",
            new.join("\n")
        );
    }
}
