//! The words behind `--`.

use anyhow::{Context as _, Result, bail, ensure};

/// Fewer say nothing on a machine that others use too.
const MIN_ROUNDS: u32 = 5;

/// What to run and how long.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
    /// Rows whose name has this in it.
    pub(crate) only: Option<String>,
    pub(crate) quick: bool,
    pub(crate) gate: bool,
    /// The gate opens for what misses its target by no more than this share.
    pub(crate) slack: f64,
    pub(crate) save: bool,
}

impl Options {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
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
        ensure!(
            options.only.is_none() || !options.save,
            "the saved table has all rows: --save without --only"
        );
        Ok(options)
    }

    pub(crate) fn is_chosen(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|word| name.contains(word))
    }
}
