//! A result as text for a terminal. Pure: whether colours are wanted is passed in.

mod columns;
mod once;

use crate::client::result::{Phase, PhaseMode, TestResult, Transport};

use super::lost;
use super::text::{bytes, count, count_or_dash, or_dash, plain, rate, seconds, time};
use columns::{HEAD, Paint, line, table};
use once::{limits, once};

pub(super) use once::worst_rise;

/// `PP-` and two groups.
const GROUPS_SHOWN: usize = 3;

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

/// One short line: whom, where, when. The whole Endpoint ID is in the JSON.
fn heading(result: &TestResult, paint: Paint) -> String {
    let remote = &result.reflector;
    let target = plain(&remote.target);
    // A name says nothing of where it led to; an address says it already.
    let address = remote.address.as_ref().map(|address| plain(address));
    let address = address.filter(|address| !target.contains(address)).map(|address| format!("({address})"));
    let who = remote.endpoint_id.as_ref().map(|id| short(&plain(id)));
    let position = remote.network_position.as_ref().map(|position| plain(position));
    let when = result.started_at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let facts = [address, who, position, Some(when)].into_iter().flatten();
    [paint.with(HEAD, &target)].into_iter().chain(facts).collect::<Vec<_>>().join("  ")
}

/// The first groups of an Endpoint ID: enough to recognise one's own reflectors by.
fn short(endpoint_id: &str) -> String {
    let groups: Vec<&str> = endpoint_id.split('-').collect();
    match groups.get(..GROUPS_SHOWN) {
        Some(first) if groups.len() > GROUPS_SHOWN => format!("{}-…", first.join("-")),
        _ => endpoint_id.to_owned(),
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
            let resent = phase.streams.iter().map(|stream| stream.tcp.retransmits).sum::<Option<u64>>();
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

/// What both directions of one session share, such as its echo, is said once: each run with its title, and of a run both
/// ways at once only the first half.
fn sessions(result: &TestResult) -> impl Iterator<Item = (String, &Phase)> {
    let before = std::iter::once(None).chain(result.phases.iter().map(Some));
    let both = |phase: &Phase| phase.name.starts_with("bidir-");
    let second = move |phase: &Phase, before: Option<&Phase>| {
        before.is_some_and(|before| {
            both(before) && both(phase) && before.name != phase.name && before.test_id == phase.test_id
        })
    };
    let first = result.phases.iter().zip(before).filter(move |(phase, before)| !second(phase, *before));
    first.map(move |(phase, _)| {
        let title = title(phase);
        (if both(phase) { title.replace("-down", "").replace("-up", "") } else { title }, phase)
    })
}

fn times(out: &mut String, result: &TestResult, paint: Paint) {
    let head = ["ROUND TRIP", "MEDIAN", "95 %", "99 %", "MAX", "LOST", "OF"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for (title, phase) in sessions(result) {
        let loaded = if phase.transport.is_some() { "loaded" } else { "" };
        for (when, echo) in [("idle", &phase.echo_idle), (loaded, &phase.echo_loaded)] {
            let Some(echo) = echo else { continue };
            rows.push(vec![
                format!("{title} {when}").trim_end().to_owned(),
                or_dash(echo.p50_us, time),
                or_dash(echo.p95_us, time),
                or_dash(echo.p99_us, time),
                or_dash(echo.max_us, time),
                count(lost::unanswered(echo)),
                count(echo.sent),
            ]);
        }
    }
    if rows.len() > 1 {
        table(out, &rows, paint);
        line(out, "");
    }
}

#[cfg(test)]
mod tests;
