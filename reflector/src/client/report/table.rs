//! A result as text for a terminal. Pure: whether colours are wanted is passed in.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::client::result::{Echo, Grade, Phase, PhaseMode, TestResult, Transport};
use crate::engine::evidence::Real;

use super::advice::{advice, name};
use super::text::{bytes, count, count_or_dash, or_dash, plain, rate, seconds, signed, time};

const HEAD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const FAIR: Style = AnsiColor::Yellow.on_default().bold();
const POOR: Style = AnsiColor::Red.on_default().bold();

/// Words before what is said once per test.
const LABEL: usize = 14;

/// The whole report. Its last line says what limited the test, where, and what to try. Without `colour` the text holds
/// no escape sequence.
pub fn render(result: &TestResult, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    line(&mut out, &heading(result, paint));
    line(&mut out, "");
    rates(&mut out, result, paint);
    times(&mut out, result, paint);
    once(&mut out, result, paint);
    line(&mut out, "");
    limits(&mut out, result, paint);
    out
}

fn heading(result: &TestResult, paint: Paint) -> String {
    let remote = &result.reflector;
    let facts = [&remote.endpoint_id, &remote.address, &remote.network_position];
    let facts: Vec<String> = facts.into_iter().flatten().map(|fact| plain(fact)).collect();
    let when = result.started_at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let target = paint.with(HEAD, &plain(&remote.target));
    if facts.is_empty() {
        format!("{target}  {when}")
    } else {
        format!("{target}  {}  {when}", facts.join("  "))
    }
}

fn rates(out: &mut String, result: &TestResult, paint: Paint) {
    let udp = result.phases.iter().any(|phase| phase.udp.is_some());
    let tcp = result.phases.iter().any(|phase| phase.transport == Some(Transport::Tcp));
    let mut head = vec!["PHASE", "STREAMS", "RATE", "STEADY", "DATA", "TIME"];
    if tcp {
        head.push("RESENT");
    }
    if udp {
        head.extend(["LOST", "JITTER"]);
    }
    head.push("END");
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for phase in result.phases.iter().filter(|phase| phase.transport.is_some()) {
        let transport = if phase.transport == Some(Transport::Udp) { "UDP" } else { "TCP" };
        let mut row = vec![
            title(phase),
            format!("{} {transport}", phase.streams.len()),
            or_dash(phase.mbps, rate),
            or_dash(phase.steady_mbps, rate),
            bytes(phase.bytes),
            or_dash(phase.duration_s, seconds),
        ];
        if tcp {
            let resent = phase.streams.iter().map(|stream| stream.retransmits).sum::<Option<u64>>();
            row.push(count_or_dash(resent.filter(|_| phase.transport == Some(Transport::Tcp))));
        }
        if udp {
            let datagrams = phase.udp.as_ref();
            row.push(or_dash(datagrams.and_then(|udp| udp.lost_percent), |share| format!("{share:.3} %")));
            row.push(or_dash(datagrams.and_then(|udp| udp.jitter_us), time));
        }
        row.push(plain(&phase.end_reason));
        rows.push(row);
    }
    if rows.len() > 1 {
        table(out, &rows, paint);
        line(out, "");
    }
}

/// The direction, and how it travelled when that was not the direct way.
pub(super) fn title(phase: &Phase) -> String {
    let name = plain(&phase.name);
    if phase.mode == PhaseMode::Tunneled { format!("{name} tunneled") } else { name }
}

fn times(out: &mut String, result: &TestResult, paint: Paint) {
    let head = ["ROUND TRIP", "MEDIAN", "95 %", "99 %", "MAX", "LOST", "OF"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for phase in &result.phases {
        let loaded = if phase.transport.is_some() { "loaded" } else { "" };
        for (when, echo) in [("idle", &phase.echo_idle), (loaded, &phase.echo_loaded)] {
            let Some(echo) = echo else { continue };
            let lost = lost(echo);
            rows.push(vec![
                format!("{} {when}", title(phase)).trim_end().to_owned(),
                or_dash(echo.p50_us, time),
                or_dash(echo.p95_us, time),
                or_dash(echo.p99_us, time),
                or_dash(echo.max_us, time),
                count(lost),
                count(echo.sent),
            ]);
        }
    }
    if rows.len() > 1 {
        table(out, &rows, paint);
        line(out, "");
    }
}

/// Echoes that the path lost: what the reflector's limit held back is none of it.
pub(super) fn lost(echo: &Echo) -> u64 {
    echo.sent.saturating_sub(echo.n).saturating_sub(echo.limited.unwrap_or(0))
}

fn once(out: &mut String, result: &TestResult, paint: Paint) {
    let mut say = |label: &str, text: &str| {
        line(out, &format!("{}  {text}", paint.with(HEAD, &format!("{label:LABEL$}"))));
    };
    if let Some(score) = &result.responsiveness {
        let grade =
            score.grade.map_or_else(|| "–".to_owned(), |grade| paint.with(of_grade(grade), grade.as_str()));
        let pace = score
            .per_minute
            .map(|pace| format!("{:.0} round trips per minute while loaded", pace.value()))
            .into_iter();
        let rise = worst_rise(score.phases.iter().filter_map(|phase| phase.p95_rise_ms));
        let rise = rise.map(|ms| format!("95 % round trip {} under load", signed(ms * 1000.0)));
        say("Responsiveness", &[vec![grade], pace.chain(rise).collect()].concat().join(", "));
    }
    if let Some(tax) = &result.tunnel_tax {
        let ratio = |ratio: Option<Real>| or_dash(ratio, |ratio| format!("×{ratio:.2}"));
        let text = format!(
            "rate {}, CPU {}, round trip {}, over {} pairs",
            ratio(tax.rate_ratio),
            ratio(tax.cpu_ratio),
            or_dash(tax.echo_p50_difference_us, signed),
            tax.pairs
        );
        say("Tunnel", &text);
    }
    let cost: Vec<String> = result.phases.iter().filter(|phase| phase.transport.is_some()).map(cpu).collect();
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

pub(super) fn worst_rise(rises: impl Iterator<Item = Real>) -> Option<f64> {
    rises.map(Real::value).reduce(f64::max)
}

fn cpu(phase: &Phase) -> String {
    let cost = |cost| or_dash(cost, |seconds| format!("{seconds:.2}"));
    format!("{} {}, {} s/GB", title(phase), cost(phase.cpu.local_s_per_gb), cost(phase.cpu.remote_s_per_gb))
}

/// A line per limit: phases that were limited alike share one.
fn limits(out: &mut String, result: &TestResult, paint: Paint) {
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

/// Whether to paint.
#[derive(Debug, Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Columns: the first is aligned to the left, numbers to the right, and the last, a word, to the left again when it is
/// no number.
fn table(out: &mut String, rows: &[Vec<String>], paint: Paint) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_word =
        |column: usize| {
            column == 0
                || rows.iter().skip(1).filter_map(|row| row.get(column)).any(|cell| {
                    cell.contains('_') || !cell.contains(|c: char| c.is_ascii_digit() || c == '–')
                })
        };
    let words: Vec<bool> = (0..columns).map(is_word).collect();
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(widths.iter().zip(&words)).map(|(cell, (width, word))| {
            if *word { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        let text = cells.collect::<Vec<_>>().join("  ");
        line(out, &if index == 0 { paint.with(HEAD, text.trim_end()) } else { text });
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::client::result::samples;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "asks whether golden files are to be written")]
    fn the_table_of_each_sample_is_the_one_we_looked_at() {
        for (name, sample) in samples::all() {
            let path =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/client/report/golden/{name}.txt"));
            let actual = render(&sample, false);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&path, &actual).unwrap();
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            let hint = "if meant: UPDATE_GOLDEN=1 cargo test -p reflector --lib client::report";
            assert_eq!(actual, expected, "{name}: {hint}");
        }
    }

    /// H7
    #[test]
    fn the_last_line_says_what_limited_it_where_and_what_to_try() {
        for (name, sample) in samples::all() {
            let text = render(&sample, false);
            let last = text.lines().last().unwrap();
            assert!(last.contains(" limited by: ") && last.contains("Try: "), "{name}: {last}");
        }
        let text = render(&samples::cut(), false);
        assert!(text.lines().last().unwrap().contains("on the reflector"), "{text}");
    }

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let (painted, bare) = (render(&samples::complete(), true), render(&samples::complete(), false));
        assert!(painted.contains('\u{1b}') && !bare.contains('\u{1b}'));
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), bare);
    }

    #[test]
    fn foreign_text_draws_nothing_on_the_terminal() {
        let mut hostile = samples::cable();
        let bad = "x\u{1b}]0;owned\u{7}\r\nlimited by: nothing".to_owned();
        hostile.reflector.target.clone_from(&bad);
        hostile.reflector.endpoint_id = Some(bad.clone());
        hostile.reflector.network_position = Some(bad.clone());
        hostile.phases[0].name.clone_from(&bad);
        hostile.phases[0].end_reason.clone_from(&bad);
        hostile.phases[0].limit.evidence[0].signal.clone_from(&bad);
        hostile.not_measured.push(crate::client::result::NotMeasured { what: bad.clone(), why: bad.clone() });
        hostile.warnings.push(bad);
        let text = render(&hostile, false);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        let lines = |text: &str| text.lines().count();
        assert_eq!(lines(&text), lines(&render(&samples::cable(), false)) + 2);
    }

    /// Whatever the numbers, no line is wider than a terminal of 110 columns, but sentences.
    #[test]
    fn tables_fit_a_terminal() {
        for (name, sample) in samples::all() {
            for row in render(&sample, false).lines().filter(|line| line.contains("bit/s  ")) {
                assert!(row.chars().count() <= 110, "{name}: {row}");
            }
        }
    }
}
