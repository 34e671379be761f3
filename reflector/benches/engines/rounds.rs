//! A contest: two contenders that take turns, and what came of it.

use anyhow::Result;

use super::contenders::{Missing, Place, Sample};
use super::floor::Floor;
use super::gate::{self, End};
use super::options::Options;
use super::row::{Bound, Quantity, Row, Target};
use super::spread::Spread;
use super::{foreign, machine};

/// Rounds that may be repeated before a row is given up.
const REPEATS: u32 = 6;

/// What came of a row.
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) verdicts: Vec<Verdict>,
    /// Why there are none.
    pub(crate) not_run: Option<NotRun>,
    pub(crate) note: Option<&'static str>,
}

/// Why a row has no numbers.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NotRun {
    /// Something that this machine does not have.
    #[error("{0}")]
    Missing(String),
    /// Part of the processors that others used.
    #[error("others kept using the processors ({:.0} %)", 100.0 * .0)]
    Busy(f64),
    /// Numbers that do not agree, or a contender that gave none.
    #[error("{0}")]
    Failed(String),
}

impl From<anyhow::Error> for NotRun {
    fn from(error: anyhow::Error) -> Self {
        let said = format!("{error:#}");
        if error.is::<Missing>() { Self::Missing(said) } else { Self::Failed(said) }
    }
}

/// One quantity of a row, held to its target.
pub(crate) struct Verdict {
    pub(crate) target: Target,
    pub(crate) ours: Spread,
    pub(crate) theirs: Spread,
    pub(crate) value: f64,
    pub(crate) kept: bool,
}

impl Outcome {
    /// Below the floor in any quantity.
    pub(crate) fn is_missed(&self, floor: &Floor) -> bool {
        self.verdicts.iter().any(|verdict| {
            let Target { quantity, bound } = verdict.target;
            // A machine that stalls once loses datagrams once: the table says so, the gate looks at what is usual.
            let value = if quantity == Quantity::Loss { verdict.ours.median } else { verdict.value };
            floor.is_missed([self.name, self.peer], quantity.name(), bound, value)
        })
    }

    /// Has no numbers, and may have them another time.
    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.not_run, Some(NotRun::Busy(_) | NotRun::Failed(_)))
    }

    /// As the gate sees it.
    pub(crate) fn end(&self, floor: &Floor) -> gate::Row {
        let end = match &self.not_run {
            Some(why @ NotRun::Missing(_)) => End::Missing(why.to_string()),
            Some(why @ NotRun::Busy(_)) => End::Busy(why.to_string()),
            Some(why @ NotRun::Failed(_)) => End::Failed(why.to_string()),
            None if self.is_missed(floor) => End::Missed,
            None => End::Kept,
        };
        (format!("{} beside {}", self.name, self.peer), end)
    }
}

/// Runs a row to its end. What goes wrong is the reason why it has no numbers.
pub(crate) fn contest(row: Row, place: &Place, options: &Options) -> Outcome {
    let (name, peer, unit, note) = (row.name, row.peer, row.unit, row.note);
    let (verdicts, not_run) = match run(row, place, options) {
        Ok(verdicts) => (verdicts, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    Outcome { name, peer, unit, verdicts, not_run, note }
}

fn run(row: Row, place: &Place, options: &Options) -> Result<Vec<Verdict>, NotRun> {
    let mut pair = [(row.ours)(place)?, (row.theirs)(place)?];
    let mut samples: [Vec<Sample>; 2] = [Vec::new(), Vec::new()];
    if !options.quick {
        // Warms both up, and is thrown away.
        for contender in &mut pair {
            contender.run(1)?;
        }
    }
    let mut repeats = 0;
    let mut number = 0;
    while number < options.rounds {
        // Whoever goes first meets another machine than whoever goes second.
        let order = if number % 2 == 0 { [0, 1] } else { [1, 0] };
        let before = foreign::look();
        let mut round = Vec::new();
        for index in order {
            let carried = machine::carried();
            let sample = pair[index].run(options.seconds)?;
            sample.agree(machine::carried().zip(carried).map(|(after, before)| after - before))?;
            round.push((index, sample));
        }
        let foreign = before.foreign();
        if !foreign::Before::is_calm(foreign) && !options.quick {
            repeats += 1;
            if repeats > REPEATS {
                return Err(NotRun::Busy(foreign));
            }
            continue;
        }
        for (index, sample) in round {
            samples[index].push(sample);
        }
        number += 1;
    }
    let verdicts: Result<Vec<Verdict>> =
        row.targets.into_iter().map(|target| judge(target, &samples)).collect();
    Ok(verdicts?)
}

fn judge(target: Target, samples: &[Vec<Sample>; 2]) -> Result<Verdict> {
    let spread =
        |side: usize| Spread::of(samples[side].iter().filter_map(|sample| target.quantity.of(sample)));
    let (Some(ours), Some(theirs)) = (spread(0), spread(1)) else {
        anyhow::bail!("nothing to compare in {:?}", target.quantity)
    };
    let value = match target.quantity {
        Quantity::Memory => ours.median,
        // Not one is not one in any round.
        Quantity::Loss => ours.max,
        _ => ours.median / theirs.median,
    };
    let kept = match target.bound {
        Bound::Least(least) => value >= least,
        Bound::Most(most) => value <= most,
    };
    Ok(Verdict { target, ours, theirs, value, kept })
}
