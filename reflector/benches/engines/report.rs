//! Outcomes as lines, as a Markdown table and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::rounds::{Outcome, Verdict};
use super::row::{Bound, Quantity};
use super::spread::{Spread, short};

/// One row, when it is done.
pub(crate) fn line(outcome: &Outcome) -> String {
    if let Some(why) = &outcome.not_run {
        return format!("{} beside {}: NOT RUN: {why}", outcome.name, outcome.peer);
    }
    let each = outcome.verdicts.iter().map(|verdict| {
        let kept = if verdict.kept { "" } else { " MISSED" };
        format!("{} {} (target {}{kept})", verdict.target.quantity.name(), ratio(verdict), bound(verdict))
    });
    format!("{} beside {}: {}", outcome.name, outcome.peer, each.collect::<Vec<_>>().join(", "))
}

/// All rows.
pub(crate) fn table<'a>(outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> String {
    let mut text = String::from(
        "| case | peer | quantity | ours min / **median** / max | peer min / **median** / max | ratio | target | |\n|---|---|---|---|---|---:|---:|---|\n",
    );
    for outcome in outcomes.clone() {
        for verdict in &outcome.verdicts {
            let (quantity, kept) =
                (verdict.target.quantity, if verdict.kept { "kept" } else { "**missed**" });
            let unit = if quantity == Quantity::Rate { outcome.unit } else { quantity.unit() };
            let _ = writeln!(
                text,
                "| {} | {} | {}, {unit} | {} | {} | {} | {} | {kept} |",
                outcome.name,
                outcome.peer,
                quantity.name(),
                verdict.ours.cell(),
                verdict.theirs.cell(),
                ratio(verdict),
                bound(verdict),
            );
        }
        if let Some(why) = &outcome.not_run {
            let why = why.to_string().replace('|', "/").replace('\n', " ");
            let _ = writeln!(text, "| {} | {} | not run: {why} | | | | | |", outcome.name, outcome.peer);
        }
    }
    for outcome in outcomes {
        if let Some(note) = &outcome.note {
            let _ = writeln!(text, "\n{}: {note}", outcome.name);
        }
    }
    text
}

/// Keeps the run below docs/bench.
pub(crate) fn save<'a>(header: &str, outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bench");
    let page = format!(
        "# Engines\n\n<!-- Written by `cargo bench --profile dist -p reflector --bench engines -- --save`. -->\n\n{}\n\n{}\n{}",
        header.replace('\n', "  \n"),
        table(outcomes.clone()),
        include_str!("reading.md"),
    );
    let rows: Vec<Value> = outcomes.map(row).collect();
    let lines: Vec<&str> = header.lines().collect();
    let all = json!({ "header": lines, "rows": rows });
    std::fs::write(folder.join("engines.md"), page).context("write docs/bench/engines.md")?;
    std::fs::write(folder.join("engines.json"), format!("{all:#}\n")).context("write docs/bench/engines.json")
}

fn row(outcome: &Outcome) -> Value {
    let verdicts: Vec<Value> = outcome.verdicts.iter().map(|verdict| {
        let quantity = verdict.target.quantity;
        let unit = if quantity == Quantity::Rate { outcome.unit } else { quantity.unit() };
        json!({
            "quantity": quantity.name(), "unit": unit, "ours": spread(&verdict.ours), "peer": spread(&verdict.theirs),
            "ratio": rounded(verdict.value), "target": bound(verdict), "kept": verdict.kept,
        })
    }).collect();
    let why = outcome.not_run.as_ref().map(ToString::to_string);
    json!({ "case": outcome.name, "peer": outcome.peer, "results": verdicts, "not_run": why, "note": outcome.note })
}

fn spread(spread: &Spread) -> Value {
    json!({ "min": rounded(spread.min), "median": rounded(spread.median), "max": rounded(spread.max) })
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn ratio(verdict: &Verdict) -> String {
    if verdict.target.quantity.is_ours_alone() {
        short(verdict.value) + suffix(verdict)
    } else {
        format!("{:.2}×", verdict.value)
    }
}

fn bound(verdict: &Verdict) -> String {
    let unit = suffix(verdict);
    match verdict.target.bound {
        Bound::Least(least) => format!("≥{least}{unit}"),
        Bound::Most(most) => format!("≤{most}{unit}"),
    }
}

const fn suffix(verdict: &Verdict) -> &'static str {
    match verdict.target.quantity {
        Quantity::Memory => " MiB",
        Quantity::Loss => "",
        _ => "×",
    }
}
