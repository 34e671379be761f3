//! What the streams of one direction moved over time, in steps of 100 ms. Pure.

use std::time::Duration;

/// Time between two samples.
pub const STEP: Duration = Duration::from_millis(100);

/// Counters of all streams of a direction at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    at: Duration,
    bytes: Vec<u64>,
}

/// Counters over a run. Times are since data may flow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Series {
    samples: Vec<Sample>,
    /// Counters and time at the end of the omitted part.
    base: Option<Sample>,
}

/// What moved in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Since the omitted part ended.
    pub from: Duration,
    /// Not always 100 ms later: a busy machine samples when it can.
    pub to: Duration,
    /// Of each stream.
    pub bytes: Vec<u64>,
}

impl Series {
    /// Adds what the counters say now.
    pub fn push(&mut self, at: Duration, bytes: Vec<u64>) {
        self.samples.push(Sample { at, bytes });
    }

    /// The last sample is the end of the omitted part: only what comes later counts.
    pub fn omit_until_now(&mut self) {
        self.base = self.samples.last().cloned();
    }

    /// What moved in the last step, of all streams, and how long it was: for a display.
    pub fn last_step(&self) -> Option<(u64, Duration)> {
        let (last, before) = (self.samples.last()?, self.samples.iter().rev().nth(1));
        let zero = Sample { at: Duration::ZERO, bytes: Vec::new() };
        let before = before.unwrap_or(&zero);
        Some((moved(before, last).iter().sum(), last.at.saturating_sub(before.at)))
    }

    /// Steps after the omitted part, up to the last one in which anything moved: a server that cut the test takes a
    /// while to say so, and nothing flows then.
    pub fn steps(&self) -> Vec<Step> {
        let zero = Sample { at: Duration::ZERO, bytes: Vec::new() };
        let base = self.base.as_ref().unwrap_or(&zero);
        let counted = self.samples.iter().filter(|sample| sample.at > base.at);
        let mut before = base;
        let mut steps = Vec::new();
        for sample in counted {
            steps.push(Step {
                from: before.at.saturating_sub(base.at),
                to: sample.at.saturating_sub(base.at),
                bytes: moved(before, sample),
            });
            before = sample;
        }
        while steps.last().is_some_and(|step| step.bytes.iter().all(|bytes| *bytes == 0)) {
            steps.pop();
        }
        steps
    }

    /// Bytes of each stream after the omitted part.
    pub fn totals(&self) -> Vec<u64> {
        let zero = Sample { at: Duration::ZERO, bytes: Vec::new() };
        self.samples.last().map_or_else(Vec::new, |last| moved(self.base.as_ref().unwrap_or(&zero), last))
    }

    /// From the end of the omitted part to the last byte, to the step.
    pub fn duration(&self) -> Duration {
        self.steps().last().map_or(Duration::ZERO, |step| step.to)
    }
}

/// Counters only grow; a stream that is new has moved all it has.
fn moved(before: &Sample, after: &Sample) -> Vec<u64> {
    let earlier = before.bytes.iter().copied().chain(std::iter::repeat(0));
    after.bytes.iter().zip(earlier).map(|(after, before)| after.saturating_sub(before)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn series(samples: &[(u64, [u64; 2])]) -> Series {
        let mut series = Series::default();
        for (at, bytes) in samples {
            series.push(ms(*at), bytes.to_vec());
        }
        series
    }

    #[test]
    fn steps_are_differences_and_know_how_long_they_were() {
        let series = series(&[(100, [10, 1]), (250, [30, 1]), (300, [31, 5])]);
        let expected = [
            Step { from: ms(0), to: ms(100), bytes: vec![10, 1] },
            Step { from: ms(100), to: ms(250), bytes: vec![20, 0] },
            Step { from: ms(250), to: ms(300), bytes: vec![1, 4] },
        ];
        assert_eq!(series.steps(), expected);
        assert_eq!((series.totals(), series.duration()), (vec![31, 5], ms(300)));
        assert_eq!(series.last_step(), Some((5, ms(50))));
    }

    /// G6
    #[test]
    fn the_silence_between_a_cut_and_its_word_is_not_part_of_the_test() {
        let series = series(&[(100, [10, 10]), (200, [20, 20]), (300, [20, 20]), (1200, [20, 20])]);
        assert_eq!(series.duration(), ms(200));
        assert_eq!(series.totals(), [20, 20]);
        let nothing = self::series(&[(100, [0, 0]), (200, [0, 0])]);
        assert_eq!((nothing.duration(), nothing.steps()), (Duration::ZERO, Vec::new()));
    }

    #[test]
    fn a_pause_in_the_middle_is_part_of_the_test() {
        let series = series(&[(100, [10, 0]), (200, [10, 0]), (300, [20, 0])]);
        assert_eq!(series.duration(), ms(300));
        assert_eq!(series.steps().len(), 3);
    }

    #[test]
    fn what_is_omitted_counts_nowhere() {
        let mut series = series(&[(100, [100, 50]), (200, [200, 60])]);
        series.omit_until_now();
        series.push(ms(300), vec![250, 61]);
        series.push(ms(410), vec![251, 61]);
        assert_eq!(series.totals(), [51, 1]);
        let steps = series.steps();
        assert_eq!((steps[0].from, steps[0].to, steps[0].bytes.clone()), (ms(0), ms(100), vec![50, 1]));
        assert_eq!(series.duration(), ms(210));
        assert_eq!(Series::default().totals(), Vec::<u64>::new());
    }
}
