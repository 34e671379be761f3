//! Our engines beside the programs people use instead, on one machine, in one run: what counts are ratios of medians.
//!
//! Each row of engines.md §7 is a contest: ours and the peer take turns, the first round of each is thrown away, and a
//! round in which something else used the processors is repeated. A row that cannot run says why. As root the bench runs
//! in a network namespace of its own, where every socket of both sides uses cubic. How to read it: docs/bench/README.md.
//!
//! `cargo bench --profile dist -p reflector --bench engines [-- --rounds 5 --seconds 3 --only WORD --quick --gate --slack PERCENT --save]`
#![allow(clippy::disallowed_methods, reason = "a benchmark reads clocks and waits")]
#![allow(clippy::cast_precision_loss, reason = "bytes and packets become rates")]

mod contenders;
mod foreign;
mod machine;
mod report;
mod rounds;
mod rows;
mod spread;

use anyhow::{Context as _, Result, bail, ensure};

/// Fewer say nothing on a machine that others use too.
const MIN_ROUNDS: u32 = 5;

/// What to run and how long.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    only: Option<String>,
    pub(crate) quick: bool,
    gate: bool,
    /// The gate opens for what misses its target by no more than this share.
    slack: f64,
    save: bool,
}

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.first().is_some_and(|word| word == contenders::peer::FLAG) {
        words.remove(0);
        return contenders::peer::serve(&words);
    }
    let options = options(words.into_iter())?;
    let in_own_network = machine::enter_own_network()?;
    let missed = run(&options, in_own_network)?;
    if !options.gate || missed.is_empty() {
        return Ok(());
    }
    println!("\nmissed: {}; once more, in case the machine was busy\n", missed.join(", "));
    let again = Options { save: false, ..options };
    let missed = run_some(&again, in_own_network, &missed)?;
    ensure!(missed.is_empty(), "missed twice: {}", missed.join(", "));
    Ok(())
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        rounds: MIN_ROUNDS,
        seconds: 3,
        only: None,
        quick: false,
        gate: false,
        slack: 0.0,
        save: false,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--rounds" => options.rounds = value()?.parse().context("--rounds needs a number")?,
            "--seconds" => options.seconds = value()?.parse().context("--seconds needs a number")?,
            "--only" => options.only = Some(value()?),
            "--quick" => options.quick = true,
            "--gate" => options.gate = true,
            "--slack" => {
                let percent: u32 = value()?.parse().context("--slack needs a percentage")?;
                ensure!(percent < 100, "--slack needs a percentage below 100");
                options.slack = f64::from(percent) / 100.0;
            }
            "--save" => options.save = true,
            other => bail!(
                "unknown option {other}; there are --rounds N, --seconds N, --only WORD, --quick, --gate, --slack PERCENT, --save"
            ),
        }
    }
    if options.quick {
        ensure!(!options.gate && !options.save, "a quick look judges nothing");
        (options.rounds, options.seconds) = (1, 1);
    }
    ensure!(options.quick || options.rounds >= MIN_ROUNDS, "at least {MIN_ROUNDS} rounds");
    Ok(options)
}

fn run(options: &Options, in_own_network: bool) -> Result<Vec<String>> {
    let only = options.only.clone();
    go(options, in_own_network, &|name| only.as_deref().is_none_or(|word| name.contains(word)))
}

fn run_some(options: &Options, in_own_network: bool, names: &[String]) -> Result<Vec<String>> {
    go(options, in_own_network, &|name| names.iter().any(|wanted| wanted == name))
}

/// Runs the chosen rows; the names of those that miss a target.
fn go(options: &Options, in_own_network: bool, chosen: &dyn Fn(&str) -> bool) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let place = contenders::Place::new(folder.path());
    let header = machine::header(options, in_own_network, &place);
    println!("{header}");
    let mut results = Vec::new();
    for row in rows::all().into_iter().filter(|row| chosen(row.name)) {
        let result = rounds::contest(row, &place, options);
        println!("{}", report::line(&result));
        results.push(result);
    }
    ensure!(!results.is_empty(), "no row of that name");
    println!("\n{}", report::table(&results));
    if options.save {
        report::save(&header, &results)?;
    }
    let missed = results.iter().filter(|result| result.is_missed(options.slack));
    Ok(missed.map(|result| result.name.to_owned()).collect())
}
