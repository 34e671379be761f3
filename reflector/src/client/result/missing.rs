//! What a result does not hold although this kind of test has it: so that nobody takes silence for a zero. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measured::{Echo, EchoMethod};
use super::phase::{Phase, PhaseMode, Transport};
use super::{RemoteKind, TestResult};

/// A key that is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotMeasured {
    /// Where it would be: `phases[1].streams[].rtt_us`.
    pub what: String,
    /// Why it is not there.
    pub why: String,
}

/// Said when nobody knows better.
const UNKNOWN_WHY: &str = "this host or the other end cannot tell";
/// Said of what only a reflector measures.
const STOCK_WHY: &str = "a stock iperf3 server does not measure it";

impl TestResult {
    /// Fills in `not_measured`. `why` may know the reason for a key. To be called last, when everything else is there.
    pub fn list_missing(&mut self, why: impl Fn(&str) -> Option<String>) {
        let default = |what: &str| match self.reflector.kind {
            RemoteKind::Iperf3 if !what.starts_with("local.") => STOCK_WHY,
            _ => UNKNOWN_WHY,
        };
        let list = absent(self).into_iter().map(|what| {
            let why = why(&what).unwrap_or_else(|| default(&what).to_owned());
            NotMeasured { what, why }
        });
        self.not_measured = list.collect();
    }
}

macro_rules! absent {
    ($list:ident, $path:expr, $object:expr, $($field:ident),+ $(,)?) => {
        {
            $(if $object.$field.is_none() { $list.push(format!("{}.{}", $path, stringify!($field))); })+
        }
    };
}

/// Paths of everything that is absent, in the order of the format.
fn absent(result: &TestResult) -> Vec<String> {
    let mut list = Vec::new();
    let stock = result.reflector.kind == RemoteKind::Iperf3;
    absent!(
        list,
        "local",
        result.local,
        address,
        kernel,
        cpu_model,
        cores,
        interface,
        link_mbps,
        mtu_bytes,
        clock
    );
    absent!(list, "reflector", result.reflector, address);
    if !stock {
        absent!(list, "local", result.local, endpoint_id);
        absent!(
            list,
            "reflector",
            result.reflector,
            endpoint_id,
            version,
            network_position,
            link_mbps,
            mtu_bytes,
            cpu_load,
            clock,
        );
        absent!(list, "usage", result.usage, charged_bytes);
    }
    for (index, phase) in result.phases.iter().enumerate() {
        of_phase(&mut list, &format!("phases[{index}]"), phase, stock);
    }
    let loaded = result.phases.iter().any(|phase| phase.direction().is_some());
    match &result.responsiveness {
        Some(score) => absent!(list, "responsiveness", score, per_minute, grade),
        None if loaded => list.push("responsiveness".to_owned()),
        None => {}
    }
    let has = |mode| result.phases.iter().any(|phase| phase.mode == mode);
    match &result.tunnel_tax {
        Some(tax) => absent!(list, "tunnel_tax", tax, rate_ratio, cpu_ratio, echo_p50_difference_us),
        None if has(PhaseMode::Direct) && has(PhaseMode::Tunneled) => list.push("tunnel_tax".to_owned()),
        None => {}
    }
    list
}

fn of_phase(list: &mut Vec<String>, path: &str, phase: &Phase, stock: bool) {
    absent!(list, path, phase, duration_s);
    if !stock {
        absent!(list, path, phase, test_id);
    }
    if phase.transport.is_some() {
        absent!(list, path, phase, mbps, steady_mbps, echo_idle);
        absent!(list, format!("{path}.cpu"), phase.cpu, local_s_per_gb, remote_s_per_gb);
    }
    absent!(list, path, phase, echo_loaded);
    match (phase.transport, &phase.udp) {
        (Some(Transport::Tcp), _) => of_streams(list, path, phase),
        (Some(Transport::Udp), Some(udp)) => {
            absent!(
                list,
                format!("{path}.udp"),
                udp,
                datagram_bytes,
                lost_percent,
                jitter_us,
                reordered,
                duplicates
            );
        }
        (Some(Transport::Udp), None) => list.push(format!("{path}.udp")),
        (None, _) => {}
    }
    for (name, echo) in [("echo_idle", &phase.echo_idle), ("echo_loaded", &phase.echo_loaded)] {
        if let Some(echo) = echo {
            of_echo(list, &format!("{path}.{name}"), echo);
        }
    }
}

/// One entry per key, whichever stream lacks it.
fn of_streams(list: &mut Vec<String>, path: &str, phase: &Phase) {
    let before = list.len();
    for stream in &phase.streams {
        absent!(list, format!("{path}.streams[]"), stream, mbps);
        absent!(
            list,
            format!("{path}.streams[]"),
            stream.tcp,
            retransmits,
            rtt_us,
            min_rtt_us,
            cwnd_bytes,
            snd_wnd_bytes,
            delivery_rate_mbps,
            busy_ms,
            rwnd_limited_ms,
            sndbuf_limited_ms,
            pmtu_bytes,
            reord_seen,
            congestion,
            segments,
        );
    }
    let mut found = list.split_off(before);
    for what in found.drain(..) {
        if !list.contains(&what) {
            list.push(what);
        }
    }
}

fn of_echo(list: &mut Vec<String>, path: &str, echo: &Echo) {
    absent!(
        list,
        path,
        echo,
        min_us,
        p50_us,
        p90_us,
        p95_us,
        p99_us,
        p99_9_us,
        max_us,
        trimmed_mean_us,
        lost_up,
        lost_down,
        duplicate,
        reordered,
        limited,
        stamps,
    );
    // Nothing of the kind comes out of a tunnel, or without a key.
    if echo.method == EchoMethod::Keyed {
        absent!(list, path, echo, one_way);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::result::samples;

    #[test]
    fn a_result_with_everything_lists_nothing() {
        let mut result = samples::complete();
        result.list_missing(|_| None);
        assert_eq!(result.not_measured, []);
    }

    /// Takes away, one by one, every key that the schema says may be absent: each one has to be listed, or be named
    /// here with the reason why silence is an answer.
    #[test]
    fn whatever_is_absent_is_listed() {
        const MEANS_SOMETHING: [&str; 8] = [
            // no limit
            "remaining_bytes",
            // one kind of test has it, the other has not
            "transport",
            "udp",
            "asked_mbps",
            // not measured of the interval, but of the stream
            "rtt_us",
            // known to be empty
            "stream_bytes",
            "histogram",
            // no hypervisor or limit to be held to
            "source",
        ];
        let full = serde_json::to_value(samples::complete()).unwrap();
        let mut optional = Vec::new();
        paths(&full, "", &mut optional);
        let mut checked = 0;
        for pointer in optional {
            let name = pointer.rsplit('/').next().unwrap();
            let mut without = full.clone();
            let (parent, _) = pointer.rsplit_once('/').unwrap();
            let object = without.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            object.shift_remove(name);
            // Keys without which it is not this format are not optional.
            let Ok(mut result) = serde_json::from_value::<TestResult>(without) else { continue };
            if serde_json::to_value(&result).unwrap().pointer(&pointer).is_some() {
                continue;
            }
            checked += 1;
            result.list_missing(|_| None);
            let listed = !result.not_measured.is_empty();
            let inside = ["/limit/", "/intervals/", "/clock/", "/responsiveness/phases/"];
            let silent = MEANS_SOMETHING.contains(&name) && !pointer.contains("/streams/");
            assert!(listed || silent || inside.iter().any(|part| pointer.contains(part)), "{pointer}");
        }
        assert!(checked > 80, "only {checked} optional keys");
    }

    fn paths(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(object) => {
                for (name, inner) in object {
                    let here = format!("{at}/{name}");
                    paths(inner, &here, found);
                    found.push(here);
                }
            }
            // The first of each list stands for the others.
            serde_json::Value::Array(list) => {
                if let Some(first) = list.first() {
                    paths(first, &format!("{at}/0"), found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn a_reason_that_is_known_is_told_and_a_stock_server_is_named() {
        let mut result = samples::complete();
        result.phases[0].echo_idle = None;
        result.local.kernel = None;
        result.list_missing(|what| what.ends_with("echo_idle").then(|| "UDP is blocked".to_owned()));
        let listed = |result: &TestResult| -> Vec<(String, String)> {
            result.not_measured.iter().map(|one| (one.what.clone(), one.why.clone())).collect()
        };
        let pair = |what: &str, why: &str| (what.to_owned(), why.to_owned());
        assert_eq!(
            listed(&result),
            [pair("local.kernel", UNKNOWN_WHY), pair("phases[0].echo_idle", "UDP is blocked")]
        );
        result.reflector.kind = RemoteKind::Iperf3;
        result.list_missing(|_| None);
        assert_eq!(
            listed(&result),
            [pair("local.kernel", UNKNOWN_WHY), pair("phases[0].echo_idle", STOCK_WHY)]
        );
    }

    #[test]
    fn a_key_that_several_streams_lack_is_listed_once() {
        let mut result = samples::complete();
        result.phases[0].streams.iter_mut().for_each(|stream| stream.tcp.snd_wnd_bytes = None);
        result.list_missing(|_| None);
        let listed: Vec<&str> = result.not_measured.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(listed, ["phases[0].streams[].snd_wnd_bytes"]);
    }
}
