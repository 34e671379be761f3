//! `cargo verify`: everything that must be true of this tree, one line per step.
//!
//! In: the tree and the options. Out: `N passed, N failed` on the last line, `, N skipped` behind it when something could
//! not run, and the exit code. A step never stops the others. It may build and test, it may not change a tracked file.
//!
//! The table of steps is [`steps::STEPS`]; a new step is one entry there.

mod bed;
mod cost;
mod demo;
mod deps;
mod features;
mod fuzz;
mod generated;
mod hygiene;
mod interop;
mod job;
mod marks;
mod report;
mod runner;
mod sanitize;
mod second_try;
mod sources;
mod steps;
mod tested;
mod tests_list;
mod tools;
mod unsafety;

use std::process::ExitCode;

use crate::USAGE;

use self::steps::{STEPS, Step, When};
use crate::place::Place;

/// Options of `cargo verify`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only what takes minutes at most and needs nothing but Rust: no cluster, nothing built as shipped. For between edits.
    #[arg(long, conflicts_with_all = ["long", "only"])]
    quick: bool,
    /// Also run every fuzz target for a minute, tests under a sanitizer, the oldest Kubernetes, and measure handshakes and
    /// engines. Always on when CI=true.
    #[arg(long)]
    long: bool,
    /// Run this step alone; may be given more than once.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Print the steps and end.
    #[arg(long)]
    list: bool,
}

/// Runs the chosen steps to the end and prints the summary. Called by `main`, once.
pub(crate) fn run(args: &Args) -> ExitCode {
    if args.list {
        anstream::println!("{}", report::list(STEPS));
        return ExitCode::SUCCESS;
    }
    let mut place = Place::from_env();
    place.long = !args.quick && (place.long || args.long);
    match choose(args, place.long) {
        Ok(steps) => runner::run(place, &steps),
        Err(unknown) => {
            let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            anstream::eprintln!("no step is called '{unknown}'; there are: {}", names.join(", "));
            ExitCode::from(USAGE)
        }
    }
}

/// The steps to run, in the order of the table; or the name that is none.
fn choose(args: &Args, long: bool) -> Result<Vec<&'static Step>, String> {
    if let Some(unknown) = args.only.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        return Err(unknown.clone());
    }
    let wanted = |step: &Step| match (args.only.is_empty(), step.when) {
        (false, _) => args.only.iter().any(|name| name == step.name),
        (true, When::Quick) => true,
        (true, When::Always) => !args.quick,
        (true, When::Long) => long,
    };
    Ok(STEPS.iter().filter(|step| wanted(step)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(long: bool, only: &[&str]) -> Vec<&'static str> {
        let only = only.iter().map(ToString::to_string).collect();
        choose(&Args { quick: false, long, only, list: false }, long)
            .unwrap()
            .iter()
            .map(|step| step.name)
            .collect()
    }

    #[test]
    fn long_steps_run_in_long_mode_or_when_named() {
        assert!(!names(false, &[]).contains(&"fuzz"));
        assert!(names(true, &[]).contains(&"fuzz"));
        assert_eq!(names(false, &["fuzz", "fmt"]), ["fmt", "fuzz"]);
    }

    #[test]
    fn the_bed_runs_each_time_once_after_every_faster_rung() {
        let names = names(false, &[]);
        assert_eq!(names.last(), Some(&"bed"));
        assert!(names.contains(&"test") && names.contains(&"demo"));
    }

    #[test]
    fn a_quick_run_has_no_bed_and_all_plain_tests_and_an_only_one_nothing_else() {
        let args = Args { quick: true, long: false, only: Vec::new(), list: false };
        let quick: Vec<&str> = choose(&args, false).unwrap().iter().map(|step| step.name).collect();
        assert!(quick.contains(&"test") && quick.contains(&"clippy") && quick.contains(&"fmt"), "{quick:?}");
        for slow in ["bed", "demo", "cost", "interop", "advisories", "fuzz"] {
            assert!(!quick.contains(&slow), "{slow}");
        }
        assert_eq!(names(false, &["bed"]), ["bed"]);
    }

    #[test]
    fn a_misspelt_step_is_refused_not_skipped() {
        let args = Args { quick: false, long: false, only: vec!["fmt".into(), "clipy".into()], list: false };
        assert_eq!(choose(&args, false).err().as_deref(), Some("clipy"));
    }

    #[test]
    fn step_names_are_unique() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(STEPS.iter().skip(index + 1).all(|other| other.name != step.name), "{}", step.name);
        }
    }
}
