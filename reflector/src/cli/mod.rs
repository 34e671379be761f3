//! The command line: reads arguments, loads the configuration, runs one command, prints its answer.
//!
//! In: arguments, variables, and a [`Backend`] for everything the rest of the program does. Out: an answer on
//! standard output, everything else on standard error, one of the documented exit codes.

mod args;
mod backend;
mod commands;
mod connect;
mod exit;
mod help;
mod logging;
mod measure;
mod output;
mod pages;
mod peers;
mod settings;
mod status;
#[cfg(test)]
mod testing;
mod wiring;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

pub use args::Cli;
pub use backend::{
    AuditHead, Backend, Edited, Extra, Forwarding, Keep, ManifestPeer, Measurement, NewPeer, Rotated,
};
pub use exit::Exit;
pub use output::{Answer, Said, Style, pretty};
pub use pages::{completions, man_pages};

use crate::config::{self, Loaded};
use args::{Colour, Command, Global};

/// The program.
pub fn main() -> ExitCode {
    run(std::env::args_os(), Extra::default())
}

/// The program with something added; for programs built on this one.
pub fn run(args: impl IntoIterator<Item = OsString>, extra: Extra) -> ExitCode {
    run_with(args, extra, &wiring::Wired)
}

/// The program on another backend.
pub fn run_with(args: impl IntoIterator<Item = OsString>, extra: Extra, backend: &dyn Backend) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let wanted = cli.global.color;
    let exit = execute(&cli, wanted, extra, backend).unwrap_or_else(|error| {
        complain(&error, wanted);
        if measure::is_denial(&error) { Exit::No } else { Exit::Failed }
    });
    exit.into()
}

fn execute(cli: &Cli, wanted: Colour, extra: Extra, backend: &dyn Backend) -> anyhow::Result<Exit> {
    let style = Style::stdout(wanted);
    let colour = output::is_coloured(wanted, &io::stderr());
    if let Some(answer) = commands::run_without_config(&cli.command)? {
        return output::emit(answer.as_ref(), false, style, &mut io::stdout());
    }
    let loaded = load(&cli.global, &cli.command)?;
    logging::start(&loaded.config.logging, colour);
    for warning in &loaded.warnings {
        tell(&format!("{warning}\n"));
    }
    tracing::debug!(path = ?loaded.path, "configuration loaded");
    let (answer, json) = commands::run(&cli.command, loaded, backend, extra)?;
    output::emit(answer.as_ref(), json, style, &mut io::stdout())
}

fn load(global: &Global, command: &Command) -> Result<Loaded, config::Error> {
    let mut variables = config::environment()?;
    if let Some(level) = &global.log_level {
        variables.insert("--log-level".to_owned(), level.clone());
    }
    if let Command::Serve { bind: Some(address) } = command {
        variables.insert("--bind".to_owned(), address.to_string());
    }
    config::load(&config::candidates(global.config.as_deref(), &variables), &variables)
}

/// What clap says: help and version are answers, everything else is a wrong command line.
fn usage(error: &clap::Error) -> Exit {
    // A reader that hung up has what it wanted.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}

fn complain(error: &anyhow::Error, wanted: Colour) {
    if let Some(config::Error::Invalid(report)) = error.downcast_ref() {
        return tell(&format!("{report}\n"));
    }
    let colour = output::is_coloured(wanted, &io::stderr());
    let label = Style { colour, aligned: false }.paint(output::BAD, "error");
    tell(&format!("{label}: {error:#}\n"));
}

/// Standard error may be closed; there is nobody left to tell then.
fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
