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
mod floor;
mod foreign;
mod gate;
mod machine;
mod options;
mod report;
mod rounds;
mod row;
mod rows;
mod spread;

use anyhow::{Result, anyhow, ensure};

use contenders::Place;
use floor::Floor;
use options::Options;
use rounds::Outcome;

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.first().is_some_and(|word| word == contenders::peer::FLAG) {
        words.remove(0);
        return contenders::peer::serve(&words);
    }
    let options = Options::read(words.into_iter())?;
    let in_own_network = machine::enter_own_network()?;
    // Before a new table takes its place.
    let floor = Floor::new(options.slack, include_str!("../../../docs/bench/engines.json"))?;
    let folder = tempfile::tempdir()?;
    let place = Place::new(folder.path());
    let header = machine::header(&options, in_own_network, &place);
    println!("{header}");

    let mut run = Run { options: &options, place: &place, outcomes: Vec::new() };
    run.all()?;
    run.again("could not run", Outcome::is_given_up);
    println!("\n{}", report::table(run.outcomes()));
    if options.save {
        report::save(&header, run.outcomes())?;
    }
    if options.gate {
        // After the table: a row is not shown better than it was.
        run.again("missed", |outcome| outcome.is_missed(&floor));
    }
    let ends: Vec<gate::Row> = run.outcomes().map(|outcome| outcome.end(&floor)).collect();
    println!("\n{}", gate::summary(&ends));
    if options.gate { gate::judge(&ends).map_err(|why| anyhow!(why)) } else { Ok(()) }
}

/// The rows that were chosen, each with its place in the table, as two may have the same name.
struct Run<'a> {
    options: &'a Options,
    place: &'a Place,
    outcomes: Vec<(usize, Outcome)>,
}

impl Run<'_> {
    fn outcomes(&self) -> impl Iterator<Item = &Outcome> + Clone {
        self.outcomes.iter().map(|(_, outcome)| outcome)
    }

    fn all(&mut self) -> Result<()> {
        for (at, row) in rows::all().into_iter().enumerate() {
            if self.options.is_chosen(row.name) {
                self.outcomes.push((at, self.contest(row)));
            }
        }
        ensure!(!self.outcomes.is_empty(), "no row of that name");
        Ok(())
    }

    /// Runs some rows once more, in case the machine is calm by now. The second outcome stands.
    fn again(&mut self, why: &str, is_wanted: impl Fn(&Outcome) -> bool) {
        let (options, place) = (self.options, self.place);
        let mut rows: Vec<_> = rows::all().into_iter().map(Some).collect();
        for (at, outcome) in self.outcomes.iter_mut().filter(|(_, outcome)| is_wanted(outcome)) {
            let Some(row) = rows.get_mut(*at).and_then(Option::take) else { continue };
            println!("{} beside {} {why}; once more", outcome.name, outcome.peer);
            *outcome = rounds::contest(row, place, options);
            println!("{}", report::line(outcome));
        }
    }

    fn contest(&self, row: row::Row) -> Outcome {
        let outcome = rounds::contest(row, self.place, self.options);
        println!("{}", report::line(&outcome));
        outcome
    }
}
