//! `cargo bed status`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::bed::state::State;
use crate::bed::status::Status;

/// Says what runs. The exit code is a success only when all of it does.
pub(super) fn status(folder: &Path, json: bool) -> Result<ExitCode> {
    let Some(state) = State::read(folder)? else {
        if json {
            anstream::println!("{}", serde_json::json!({ "phase": "down" }));
        } else {
            anstream::println!("No bed runs here. Start one: cargo bed up");
        }
        return Ok(ExitCode::FAILURE);
    };
    let status = Status::of(folder, &state);
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&status).context("write the status")?);
    } else {
        anstream::print!("{}", status.text());
    }
    Ok(if status.is_up() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
