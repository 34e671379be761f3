//! One run on the page: its plots, what limited it with the numbers that show it, its streams. Pure.

use crate::client::result::{LostIn, Phase, Stream, Transport, Udp};
use crate::engine::evidence::limit::{Also, Direction, Side, Signal};

use super::super::advice::{advice, name};
use super::super::lost;
use super::super::signal;
use super::super::table::title;
use super::super::text::{bytes, count, count_or_dash, or_dash, rate, seconds, time};
use super::markup::{Html, fact};
use super::{latency, throughput};

/// A run.
pub(super) fn section(phase: &Phase) -> Html {
    let arrow = match phase.direction() {
        Some(Direction::Up) => "<span aria-hidden=\"true\">↑ </span>",
        Some(Direction::Down) => "<span aria-hidden=\"true\">↓ </span>",
        None => "",
    };
    Html::new()
        .raw("<section>\n<h2>")
        .raw(arrow)
        .text(&capital(&title(phase)))
        .raw("</h2>\n<div class=\"pair\">\n")
        .some(throughput::plot(phase), |plot| framed(&plot))
        .some(latency::plot(phase), |plot| framed(&plot))
        .raw("</div>\n")
        .with(&limit(phase))
        .with(&details(phase))
        .raw("</section>\n")
}

fn framed(piece: &Html) -> Html {
    Html::new().raw("<div class=\"card\">\n").with(piece).raw("</div>\n")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn limit(phase: &Phase) -> Html {
    let words = advice(phase);
    let also = &phase.limit.also;
    Html::new()
        .raw("<div class=\"card limit\">\n<h3>What limited it</h3>\n<p class=\"what\"><strong>")
        .text(words.what)
        .raw("</strong>")
        .some((!words.place.is_empty()).then_some(words.place), |place| Html::new().raw(", ").text(place))
        .raw(".</p>\n<p>Try: ")
        .text(words.attempt)
        .raw(".</p>\n")
        .some((!also.is_empty()).then_some(also), |also| {
            let names: Vec<String> = also.iter().map(|Also { by, cause }| name(*by, *cause)).collect();
            Html::new().raw("<p class=\"small\">Also near its limit: ").text(&names.join(", ")).raw("</p>\n")
        })
        .some((!phase.limit.evidence.is_empty()).then_some(&phase.limit.evidence), |evidence| proof(evidence))
        .raw("</div>\n")
}

fn proof(evidence: &[Signal]) -> Html {
    Html::new()
        .raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Evidence\"><table class=\"proof\">\n")
        .raw("<thead><tr><th scope=\"col\">Evidence</th><th scope=\"col\">Measured</th><th scope=\"col\">Counts at</th><th scope=\"col\">Where</th></tr></thead>\n<tbody>\n")
        .each(evidence, |one| {
            let (name, say) = signal::words(one);
            let side = match one.side {
                Side::Local => "this host",
                Side::Reflector => "reflector",
                Side::Path => "path",
            };
            Html::new()
                .raw("<tr><th scope=\"row\">")
                .text(&name)
                .raw("</th><td>")
                .text(&say(one.value.value()))
                .raw("</td><td>")
                .text(&signal::threshold(one))
                .raw("</td><td>")
                .raw(side)
                .raw("</td></tr>\n")
        })
        .raw("</tbody>\n</table></div>\n")
}

fn details(phase: &Phase) -> Html {
    let cost = |cost| or_dash(cost, |seconds| format!("{seconds:.2} s/GB"));
    Html::new()
        .raw("<details class=\"card\"><summary>Streams and numbers of this run</summary>\n<dl>\n")
        .with(&fact("Ended", Some(phase.end_reason.clone())))
        .with(&fact("Session", phase.test_id.clone()))
        .with(&fact("Ran for", phase.duration_s.map(|s| seconds(s.value()))))
        .with(&fact("Payload", phase.transport.map(|_| bytes(phase.bytes))))
        .with(&fact(
            "CPU here, there",
            phase
                .transport
                .map(|_| format!("{}, {}", cost(phase.cpu.local_s_per_gb), cost(phase.cpu.remote_s_per_gb))),
        ))
        .some(phase.udp.as_ref(), datagrams)
        .with(&echoes(phase))
        .raw("</dl>\n")
        .some((!phase.streams.is_empty()).then_some(phase), streams)
        .raw("</details>\n")
}

fn datagrams(udp: &Udp) -> Html {
    let lost_where = match udp.lost_in {
        LostIn::Path => "Datagrams lost",
        LostIn::Tunnel => "Datagrams lost in the tunnel",
    };
    let lost = format!(
        "{} of {} ({})",
        count(udp.lost),
        count(udp.packets),
        or_dash(udp.lost_percent, |percent| format!("{percent:.3} %"))
    );
    Html::new()
        .with(&fact(lost_where, Some(lost)))
        .with(&fact("Jitter", udp.jitter_us.map(|us| time(us.value()))))
        .with(&fact("Reordered", udp.reordered.map(count)))
        .with(&fact("Duplicates", udp.duplicates.map(count)))
        .with(&fact("Rate asked for", udp.asked_mbps.map(|mbps| rate(mbps.value()))))
        .with(&fact("Payload of a datagram", udp.datagram_bytes.map(|size| format!("{size} B"))))
}

fn echoes(phase: &Phase) -> Html {
    let both = [("Echoes idle", &phase.echo_idle), ("Echoes loaded", &phase.echo_loaded)];
    Html::new().each(both, |(name, echo)| {
        let said = echo.as_ref().map(|echo| {
            let lost = echo.lost_up.zip(echo.lost_down).map_or_else(
                || format!("{} lost", count(lost::unanswered(echo))),
                |(up, down)| format!("{} lost up, {} lost down", count(up), count(down)),
            );
            format!(
                "{} of {} answered, {lost}{}; {} to {}, 99.9 % below {}",
                count(echo.n),
                count(echo.sent),
                lost::place(echo.lost_in),
                or_dash(echo.min_us, time),
                or_dash(echo.max_us, time),
                or_dash(echo.p99_9_us, time)
            )
        });
        fact(name, said)
    })
}

type Column = (&'static str, fn(&Stream) -> String);

const COMMON: [Column; 3] = [
    ("Stream", |stream| stream.id.to_string()),
    ("Rate", |stream| or_dash(stream.mbps, rate)),
    ("Payload", |stream| bytes(stream.bytes)),
];
const OF_TCP: [Column; 11] = [
    ("Sent again", |stream| count_or_dash(stream.tcp.retransmits)),
    ("RTT", |stream| or_dash(stream.tcp.rtt_us, time)),
    ("RTT min", |stream| stream.tcp.min_rtt_us.map_or_else(dash, |us| time(us.into()))),
    ("Cwnd", |stream| stream.tcp.cwnd_bytes.map_or_else(dash, bytes)),
    ("Peer's window", |stream| stream.tcp.snd_wnd_bytes.map_or_else(dash, bytes)),
    ("Path MTU", |stream| stream.tcp.pmtu_bytes.map_or_else(dash, |size| format!("{size} B"))),
    ("Busy", |stream| milliseconds(stream.tcp.busy_ms)),
    ("Held by window", |stream| milliseconds(stream.tcp.rwnd_limited_ms)),
    ("Held by buffer", |stream| milliseconds(stream.tcp.sndbuf_limited_ms)),
    ("Reordered", |stream| count_or_dash(stream.tcp.reord_seen)),
    ("Congestion", |stream| stream.tcp.congestion.clone().unwrap_or_else(dash)),
];

fn dash() -> String {
    "–".to_owned()
}

fn milliseconds(ms: Option<u64>) -> String {
    ms.map_or_else(dash, |ms| format!("{} ms", count(ms)))
}

fn streams(phase: &Phase) -> Html {
    let is_tcp = phase.transport == Some(Transport::Tcp);
    let columns: Vec<Column> = COMMON.into_iter().chain(OF_TCP.into_iter().filter(|_| is_tcp)).collect();
    Html::new()
        .raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Streams\"><table class=\"proof\">\n<thead><tr>")
        .each(&columns, |(name, _)| Html::new().raw("<th scope=\"col\">").raw(name).raw("</th>"))
        .raw("</tr></thead>\n<tbody>\n")
        .each(&phase.streams, |stream| {
            Html::new()
                .raw("<tr>")
                .each(&columns, |(_, say)| Html::new().raw("<td>").text(&say(stream)).raw("</td>"))
                .raw("</tr>\n")
        })
        .raw("</tbody>\n</table></div>\n")
}
