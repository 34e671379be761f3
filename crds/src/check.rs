//! Collects every problem of an object while its fields are read into values.
//!
//! In: fields as typed. Out: values inside their bounds, or `None` and a problem that says what to write.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::definition::Definition;
use crate::names;
use crate::problem::{Problem, shortened};
use crate::quantity::{Amount, DurationText};
use crate::structural;

/// Reads an object from a manifest: shapes first, because serde alone would not say where.
pub(crate) fn read<K: DeserializeOwned>(definition: &Definition, object: Value) -> Result<K, Vec<Problem>> {
    let Some(spec) = object.get("spec") else {
        return Err(vec![Problem::new("spec", "is missing: write it, {} when nothing is to be said")]);
    };
    let problems = structural::shapes(definition.part("spec"), spec, "spec");
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(object).map_err(|e| vec![Problem::new("", format!("cannot be read: {e}"))])
}

/// What was found so far.
#[derive(Default)]
pub(crate) struct Check {
    pub(crate) problems: Vec<Problem>,
}

impl Check {
    pub(crate) fn problem(&mut self, path: &str, message: impl fmt::Display) {
        self.problems.push(Problem::new(path, message));
    }

    pub(crate) fn dns_name(&mut self, path: &str, name: &str) {
        if name.is_empty() {
            self.problem(path, "is missing: write a name such as living-room");
        } else if !names::is_object_name(name) {
            let rule = "write lower-case letters, digits and dashes, at most 63, such as living-room";
            self.problem(path, format!("cannot be {:?}: {rule}", shortened(name)));
        }
    }

    /// A name that other names are made from: one label, and short.
    pub(crate) fn made_from(&mut self, path: &str, name: Option<&str>, most: usize) {
        let name = name.unwrap_or_default();
        self.dns_name(path, name);
        if name.chars().count() > most {
            let rule = "write a shorter one; names of other objects are made from it";
            self.problem(path, format!("has more than {most} characters: {rule}"));
        }
        if name.contains('.') {
            self.problem(path, "has a dot: write lower-case letters, digits and dashes");
        }
    }

    /// What the schema refuses and nobody has named yet. Asked last: others have better words.
    pub(crate) fn bounds(&mut self, schema: &Value, path: &str, value: &impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or_default();
        for problem in structural::bounds(schema, &value, path) {
            if !self.problems.iter().any(|known| problem.path.starts_with(&known.path)) {
                self.problems.push(problem);
            }
        }
    }

    pub(crate) fn duration(
        &mut self,
        path: &str,
        text: Option<&DurationText>,
        least: Duration,
        most: Duration,
        range: &str,
    ) -> Option<Duration> {
        let text = text?;
        match text.value() {
            Ok(value) if value < least || value > most => {
                self.problem(path, format!("cannot be {text}: write {range}"));
                None
            }
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(path, error);
                None
            }
        }
    }

    pub(crate) fn amount(&mut self, path: &str, amount: Option<&Amount>, least: u64) -> Option<u64> {
        let amount = amount?;
        match amount.value() {
            Ok(value) if value < least => {
                self.problem(path, format!("cannot be {amount}: write at least {least}"));
                None
            }
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(path, error);
                None
            }
        }
    }

    pub(crate) fn whole(&mut self, path: &str, value: Option<i64>, least: u32, most: u32) -> Option<u32> {
        let value = value?;
        match u32::try_from(value) {
            Ok(value) if value >= least && value <= most => Some(value),
            _ => {
                self.problem(path, format!("cannot be {value}: write {least} to {most}"));
                None
            }
        }
    }
}
