//! The report for people. Pure: whether colours are wanted is passed in.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::report::{Capability, Check, Component, Report, Status, Verdict};

/// The report as text: a line per check, what to do below those that need it, and the verdict last. `colour` is for
/// terminals; without it the text holds no escape sequence.
pub fn render(report: &Report, colour: bool) -> String {
    let width = report.checks.iter().map(|check| check.component.as_str().len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in &report.checks {
        let word = painted(check.status.as_str(), 7, style(check.status), colour);
        line(&mut text, &format!("{:width$}  {word}  {}", check.component.as_str(), check.details));
        if !check.remediation.is_empty() {
            line(&mut text, &format!("{:width$}           {}", "", check.remediation));
        }
    }
    let able: Vec<_> = report.capabilities.iter().map(ability).collect();
    line(&mut text, "");
    line(&mut text, &format!("Capabilities       {}", able.join(", ")));
    let estimate = report.estimated_max_mbps.map_or("unknown".to_owned(), |mbps| format!("{mbps} Mbit/s"));
    line(&mut text, &format!("Estimated maximum  {estimate}"));
    if let Some(tax) = report.tunnel_tax {
        line(&mut text, &format!("In a tunnel        {:.0} % of loopback", tax * 100.0));
    }
    line(&mut text, "");
    line(&mut text, &last(report, colour));
    text
}

/// The verdict and what limits it.
fn last(report: &Report, colour: bool) -> String {
    let verdict = painted(report.verdict.as_str(), 0, verdict_style(report.verdict), colour);
    let names: Vec<_> = report.limited_by.iter().map(|component| culprit(report, *component)).collect();
    match (report.verdict, names.is_empty()) {
        (_, true) => verdict,
        (Verdict::Ready, false) => format!("{verdict}: the limit is {}", names.join(", ")),
        (_, false) => format!("{verdict}: because of {}", names.join(", ")),
    }
}

/// What is not known is not blamed.
fn culprit(report: &Report, component: Component) -> String {
    let unknown = |check: &Check| check.component == component && check.status == Status::Unknown;
    if report.checks.iter().any(unknown) { format!("{component} (unknown)") } else { component.to_string() }
}

fn ability(capability: &Capability) -> String {
    let word = match capability.available {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    };
    format!("{} {word}", capability.name)
}

/// Escape sequences have no width, so the padding goes inside.
fn painted(word: &str, width: usize, style: Style, colour: bool) -> String {
    if colour { format!("{style}{word:width$}{style:#}") } else { format!("{word:width$}") }
}

fn style(status: Status) -> Style {
    match status {
        Status::Pass => AnsiColor::Green.on_default(),
        Status::Warn => AnsiColor::Yellow.on_default(),
        Status::Fail => AnsiColor::Red.on_default().bold(),
        Status::Unknown => Style::new().dimmed(),
    }
}

fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ready => AnsiColor::Green.on_default().bold(),
        Verdict::ReadyLimited | Verdict::Degraded => AnsiColor::Yellow.on_default().bold(),
        Verdict::NotReady => AnsiColor::Red.on_default().bold(),
    }
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", content.trim_end());
}
