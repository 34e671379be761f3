//! The runner behind the cargo aliases: `cargo demo`, `cargo verify`, `cargo cost`,
//! `cargo measure`, `cargo bed`.
//!
//! In: a task and its options. Out: lines for a person and an exit code for a machine. It drives the product's
//! binaries and tests, it links none of them.

mod cost;
mod demo;
mod measure;
mod place;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use e2e::bed;

/// Usage errors, everywhere in this project (`EX_USAGE`): clap's own 2 means something else to `reflector self-test`.
const USAGE: u8 = 64;

/// What the runner can do. Each has a cargo alias of its name in `.cargo/config.toml`.
#[derive(Parser)]
#[command(name = "cargo", bin_name = "cargo", about = "Tasks of this repository")]
enum Task {
    /// Show the product's main job on this machine, from pairing to revocation.
    Demo(demo::Args),
    /// Check everything: format, lints, tests, docs, dependencies, licences, the feature list.
    Verify(verify::Args),
    /// Measure what a reflector costs its host: memory, wake-ups, descriptors.
    Cost(cost::Args),
    /// Measure the operator and its reflectors in a cluster, on a bed that runs.
    Measure(measure::Args),
    /// A real Kubernetes on this machine: start it, look into it, end it.
    Bed(bed::cli::Args),
}

fn main() -> ExitCode {
    match Task::try_parse() {
        Ok(Task::Demo(args)) => demo::run(&args),
        Ok(Task::Verify(args)) => verify::run(&args),
        Ok(Task::Cost(args)) => cost::run(&args),
        Ok(Task::Measure(args)) => measure::run(&args),
        Ok(Task::Bed(args)) => bed::cli::run(&args),
        Err(error) => {
            // Nothing is left to do about a closed terminal.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_task_has_a_cargo_alias() {
        let config = include_str!("../../.cargo/config.toml");
        for task in Task::command().get_subcommands() {
            let ours = format!("--package e2e -- {}\"", task.get_name());
            let alias = format!("{} = \"run ", task.get_name());
            assert!(
                config.lines().any(|line| line.starts_with(&alias) && line.ends_with(&ours)),
                "add an alias for {} to .cargo/config.toml",
                task.get_name()
            );
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Task::command().debug_assert();
    }
}
