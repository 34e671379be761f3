//! What is said once for a whole test, below the tables. Pure.

use anstyle::{AnsiColor, Style};

use crate::client::result::{Grade, OneWay, Phase, TestResult};
use crate::engine::evidence::{Real, float};

use super::super::advice::{advice, name};
use super::super::lost;
use super::super::text::{bytes, grew, or_dash, plain, time, whole};
use super::columns::{HEAD, Paint, line};
use super::{sessions, title};

const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const FAIR: Style = AnsiColor::Yellow.on_default().bold();
const POOR: Style = AnsiColor::Red.on_default().bold();

/// Words before what is said once per test.
const LABEL: usize = 14;

pub(super) fn once(out: &mut String, result: &TestResult, paint: Paint) {
    let mut say = |label: &str, text: &str| {
        line(out, &format!("{}  {text}", paint.with(HEAD, &format!("{label:LABEL$}"))));
    };
    if let Some(score) = &result.responsiveness {
        let grade =
            score.grade.map_or_else(|| "–".to_owned(), |grade| paint.with(of_grade(grade), grade.as_str()));
        let pace = score
            .per_minute
            .map(|pace| format!("{} round trips per minute while loaded", whole(pace.value())))
            .into_iter();
        let worst = worst_rise(score.phases.iter().filter_map(|phase| phase.p95_rise_ms));
        let rise = worst.map(|ms| format!("{} under load", grew("95 % round trip", ms * 1000.0)));
        say("Responsiveness", &[vec![grade], pace.chain(rise).collect()].concat().join(", "));
    }
    if let Some(tax) = &result.tunnel_tax {
        let ratio = |ratio: Option<Real>| or_dash(ratio, |ratio| format!("×{ratio:.2}"));
        let text = format!(
            "rate {}, CPU {}, {}, over {} pairs",
            ratio(tax.rate_ratio),
            ratio(tax.cpu_ratio),
            or_dash(tax.echo_p50_difference_us, |us| grew("round trip", us)),
            tax.pairs
        );
        say("Tunnel", &text);
    }
    let datagrams = result.phases.iter().map(|phase| (title(phase), lost::datagrams(phase)));
    let echoes = sessions(result).map(|(title, phase)| (title, lost::echoes(phase)));
    let dropped = datagrams.chain(echoes).filter_map(|(title, lost)| Some(format!("{} of {title}", lost?)));
    let dropped = dropped.collect::<Vec<_>>().join(", ");
    if !dropped.is_empty() {
        say(
            "Tunnel loss",
            &format!("{dropped}: no room in a queue of the two hosts, or too late; no network lost them"),
        );
    }
    // Of the idle path, once: it is the same for every run.
    let idle = result.phases.iter().find_map(|phase| phase.echo_idle.as_ref()?.one_way);
    if let Some(OneWay { up, down, error_bound_us }) = idle {
        let (up, down, apart) =
            (time(up.p50_us.value()), time(down.p50_us.value()), time(float(error_bound_us)));
        say("One way", &format!("up {up}, down {down} while idle, by clocks at most {apart} apart"));
    }
    let cost = sessions(result).filter(|(_, phase)| phase.transport.is_some());
    let cost: Vec<String> = cost.map(|(title, phase)| cpu(&title, phase)).collect();
    if !cost.is_empty() {
        say("CPU", &format!("{} (here, there)", cost.join("; ")));
    }
    let usage = &result.usage;
    let sessions = format!("{} {}", usage.tests, if usage.tests == 1 { "session" } else { "sessions" });
    let left = usage.remaining_bytes.map(|left| format!(", {} left today", bytes(left))).unwrap_or_default();
    say("Cost", &format!("{sessions}, {}{left}", bytes(usage.charged_bytes.unwrap_or(usage.bytes))));
    if !result.not_measured.is_empty() {
        let list: Vec<String> = result.not_measured.iter().map(|one| plain(&one.what)).collect();
        let few = list.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let more = list.len().saturating_sub(3);
        let rest = if more > 0 { format!(" and {more} more (--json lists them)") } else { String::new() };
        say("Not measured", &paint.with(FAINT, &format!("{few}{rest}")));
    }
    for warning in &result.warnings {
        say("Warning", &paint.with(FAIR, &plain(warning)));
    }
}

pub(in crate::client::report) fn worst_rise(rises: impl Iterator<Item = Real>) -> Option<f64> {
    rises.map(Real::value).reduce(f64::max)
}

fn cpu(title: &str, phase: &Phase) -> String {
    let cost = |cost| or_dash(cost, |seconds| format!("{seconds:.2}"));
    format!("{title} {}, {} s/GB", cost(phase.cpu.local_s_per_gb), cost(phase.cpu.remote_s_per_gb))
}

/// A line per limit: phases that were limited alike share one.
pub(super) fn limits(out: &mut String, result: &TestResult, paint: Paint) {
    let mut said: Vec<(String, Vec<String>)> = Vec::new();
    for phase in &result.phases {
        let sentence = advice(phase).sentence();
        match said.iter_mut().find(|(known, _)| *known == sentence) {
            Some((_, phases)) => phases.push(title(phase)),
            None => said.push((sentence, vec![title(phase)])),
        }
    }
    for phase in &result.phases {
        if !phase.limit.also.is_empty() {
            let also: Vec<String> = phase.limit.also.iter().map(|also| name(also.by, also.cause)).collect();
            line(out, &paint.with(FAINT, &format!("{} was also near: {}", title(phase), also.join(", "))));
        }
    }
    if said.is_empty() {
        line(out, "Nothing was run, so nothing was limited.");
    }
    for (sentence, phases) in said {
        line(out, &format!("{} {sentence}", paint.with(HEAD, &format!("{} limited by:", phases.join(", ")))));
    }
}

fn of_grade(grade: Grade) -> Style {
    match grade {
        Grade::APlus | Grade::A => GOOD,
        Grade::B | Grade::C => FAIR,
        Grade::D | Grade::F => POOR,
    }
}
