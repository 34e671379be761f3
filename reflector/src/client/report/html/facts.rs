//! The two ends and what was not measured. Pure.

use crate::client::result::{RemoteKind, TestResult};
use crate::engine::evidence::clock::ClockState;

use super::super::text::{count, rate, time};
use super::markup::{Html, fact};

/// Path facts, method, gaps.
pub(super) fn section(result: &TestResult) -> Html {
    let (local, remote) = (&result.local, &result.reflector);
    let kind = match remote.kind {
        RemoteKind::Reflector => "Reflector",
        RemoteKind::Iperf3 => "Stock iperf3 server",
    };
    Html::new()
        .raw("<section>\n<h2>The path</h2>\n<div class=\"pair\">\n<div class=\"card\"><h3>This host</h3>\n<dl>\n")
        .with(&fact("Address", local.address.clone()))
        .with(&fact("Endpoint ID", local.endpoint_id.clone()))
        .with(&fact("Interface", local.interface.clone()))
        .with(&fact("Link", local.link_mbps.map(link)))
        .with(&fact("MTU", local.mtu_bytes.map(mtu)))
        .with(&fact("Processor", local.cpu_model.clone()))
        .with(&fact("Cores", local.cores.map(|cores| cores.to_string())))
        .with(&fact("Kernel", local.kernel.clone()))
        .with(&fact("Clock", local.clock.as_ref().map(clock)))
        .raw("</dl></div>\n<div class=\"card\"><h3>")
        .raw(kind)
        .raw("</h3>\n<dl>\n")
        .with(&fact("Address", remote.address.clone()))
        .with(&fact("Endpoint ID", remote.endpoint_id.clone()))
        .with(&fact("Version", remote.version.clone()))
        .with(&fact("Network position", remote.network_position.clone()))
        .with(&fact("Link", remote.link_mbps.map(link)))
        .with(&fact("MTU", remote.mtu_bytes.map(mtu)))
        .with(&fact("CPU load before", remote.cpu_load.map(|load| format!("{:.0} %", load.value() * 100.0))))
        .with(&fact("Clock", remote.clock.as_ref().map(clock)))
        .raw("</dl></div>\n</div>\n")
        .some(result.responsiveness.as_ref(), |score| {
            Html::new().raw("<p class=\"small\">Responsiveness: ").text(&score.method).raw(".</p>\n")
        })
        .with(&gaps(result))
        .raw("</section>\n")
}

fn link(mbps: u64) -> String {
    rate(crate::engine::evidence::float(mbps))
}

fn mtu(size: u32) -> String {
    format!("{} B", count(size.into()))
}

fn clock(clock: &ClockState) -> String {
    let state = match (clock.synced, clock.error_bound_us) {
        (true, Some(us)) => format!("in step, within {}", time(crate::engine::evidence::float(us))),
        (true, None) => "in step".to_owned(),
        (false, _) => "not in step".to_owned(),
    };
    clock.source.as_ref().map_or_else(|| state.clone(), |source| format!("{state} ({source})"))
}

fn gaps(result: &TestResult) -> Html {
    let list = &result.not_measured;
    Html::new().some((!list.is_empty()).then_some(list), |list| {
        Html::new()
            .raw("<details class=\"card\"><summary>Not measured: ")
            .text(&list.len().to_string())
            .raw("</summary>\n<ul class=\"gaps\">\n")
            .each(list, |one| {
                Html::new().raw("<li><code>").text(&one.what).raw("</code>: ").text(&one.why).raw("</li>\n")
            })
            .raw("</ul></details>\n")
    })
}
