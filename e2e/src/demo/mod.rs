//! `cargo demo`: the product's main job on one machine, told step by step for somebody who sees it the first time.
//!
//! In: the tree. Out: a story on standard output, and exit code 0 only when every expectation in it held. Each number in it
//! was counted where the bytes moved, and compared with what the other side counted. It builds what it needs, runs
//! on loopback and in a temporary folder, and leaves nothing behind unless something goes wrong.

mod acts;
mod build;
mod calm;
mod screen;
mod stage;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use crate::place::Place;

use self::acts::Show;
use self::screen::Screen;

/// What a shell reports for a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Options of `cargo demo`: none.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the demo to its end. Called by `main`, once.
pub(crate) fn run(_: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("start the demo").and_then(|runtime| runtime.block_on(until_interrupted())) {
        Ok(code) => code,
        Err(error) => {
            screen::failed(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C drops the stage, which ends the reflector and removes its folder.
async fn until_interrupted() -> Result<ExitCode> {
    tokio::select! {
        biased;
        pressed = tokio::signal::ctrl_c() => pressed.context("listen for Ctrl-C").map(|()| ExitCode::from(INTERRUPTED)),
        done = whole() => done.map(|()| ExitCode::SUCCESS),
    }
}

async fn whole() -> Result<()> {
    let screen = Screen::default();
    screen.title();
    let program = build::reflector(&Place::from_env(), &screen).await?;
    calm::wait_for_a_day_to_begin(&screen).await;
    let began = Instant::now();
    let mut show = Show::open(program, screen)?;
    match show.play().await {
        Ok(()) => {
            show.screen.summary(began.elapsed());
            Ok(())
        }
        Err(error) => {
            let kept = show.stage.keep();
            Err(error.context(format!(
                "step {} went wrong; its files are in {}",
                show.screen.number(),
                kept.display()
            )))
        }
    }
}
