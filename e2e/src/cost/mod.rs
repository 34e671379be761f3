//! `cargo cost`: what a reflector costs its host while it does nothing, and that it gives back what it took.
//!
//! In: the program as shipped (profile `dist`), built here. Out: a table of memory, wake-ups, CPU and descriptors beside
//! their limits, and a failure when one is missed twice in a row. Looks from outside, through `/proc`.

mod load;
mod measure;
mod scene;
mod table;
mod watch;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};

use self::table::Table;

/// Options of `cargo cost`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure this reflector instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Measures, prints, judges. Called by `main`, once.
pub(crate) fn run(args: &Args) -> ExitCode {
    match cost(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            anstream::eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn cost(args: &Args) -> Result<bool> {
    let program = match &args.program {
        Some(program) => program.clone(),
        None => build()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut table = runtime.block_on(measure::all(&program))?;
    show(&table);
    if !table.is_good() {
        anstream::println!(
            "\na limit is missed; once more, in case the machine was busy with something else\n"
        );
        table = runtime.block_on(measure::all(&program))?;
        show(&table);
    }
    anstream::println!("\n{}", table.summary());
    Ok(table.is_good())
}

fn show(table: &Table) {
    anstream::println!("{}\n\n{table}", e2e::machine::describe());
}

/// The program as shipped. Cargo says on stderr what takes so long.
#[expect(
    clippy::disallowed_methods,
    reason = "cargo says through the environment who it is and where it builds"
)]
fn build() -> Result<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--profile", "dist", "--package", "reflector", "--bin", "reflector"])
        .status()
        .context("start cargo")?;
    ensure!(status.success(), "building the reflector failed: {status}");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    Ok(target.join("dist/reflector"))
}
