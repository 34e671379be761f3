//! A result as one page: opens from disk, asks no network, runs no script, light and dark, on any width.
//!
//! In: a [`TestResult`]. Out: HTML. Markup is made of literals of this program only (`markup`); every foreign string is
//! escaped by type, and a policy in the page forbids whatever would slip through.

mod axis;
mod facts;
mod latency;
mod markup;
mod phase;
mod throughput;

use crate::client::result::{Grade, Phase, PhaseMode, TestResult};
use crate::engine::evidence::limit::Direction;

use super::table::{title, worst_rise};
use super::text::{bytes, grew, or_dash, rate, whole};
use markup::Html;

/// A result of more than this is not repeated inside its page.
const MOST_JSON_BYTES: usize = 1024 * 1024;

/// The page.
pub fn render(result: &TestResult) -> String {
    Html::new()
        .raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>")
        .text(&headline(result))
        .raw("</title>\n<style>\n")
        .raw(include_str!("style.css"))
        .raw("</style>\n</head>\n<body>\n<main>\n")
        .with(&head(result))
        .with(&cards(result))
        .with(&warnings(result))
        .each(&result.phases, phase::section)
        .with(&facts::section(result))
        .with(&json(result))
        .raw("<footer>Measured by reflector ")
        .text(&result.version)
        .raw(", format ")
        .text(&result.schema)
        .raw(". 1 Mbit/s is 1,000,000 bits of payload per second.</footer>\n</main>\n</body>\n</html>\n")
        .finish()
}

/// What a browser's tab shows.
fn headline(result: &TestResult) -> String {
    let rates = result.phases.iter().filter_map(|phase| {
        let best = phase.steady_mbps.or(phase.mbps)?;
        Some(format!("{} {}", title(phase), rate(best.value())))
    });
    let rates: Vec<String> = rates.collect();
    if rates.is_empty() {
        result.reflector.target.clone()
    } else {
        format!("{}: {}", result.reflector.target, rates.join(", "))
    }
}

fn head(result: &TestResult) -> Html {
    Html::new()
        .raw("<header>\n<h1>")
        .text(&result.reflector.target)
        .raw("</h1>\n<p class=\"when\">Tested on <time datetime=\"")
        .text(&result.started_at.to_string())
        .raw("\">")
        .text(&result.started_at.strftime("%-d %B %Y, %H:%M UTC").to_string())
        .raw("</time>")
        .some(result.local.cpu_model.as_deref(), |model| Html::new().raw(" from ").text(model))
        .some(result.local.interface.as_deref(), |name| Html::new().raw(" over ").text(name))
        .raw("</p>\n</header>\n")
}

fn cards(result: &TestResult) -> Html {
    Html::new()
        .raw("<div class=\"cards\">\n")
        .each(result.phases.iter().filter(|phase| phase.transport.is_some()), rate_card)
        .some(result.responsiveness.as_ref(), |score| {
            let worst = worst_rise(score.phases.iter().filter_map(|phase| phase.p95_rise_ms));
            let small = Html::new()
                .some(score.per_minute, |pace| {
                    Html::new().text(&whole(pace.value())).raw(" round trips per minute while loaded")
                })
                .some(worst, |ms| Html::new().raw("; ").text(&grew("95 % round trip", ms * 1000.0)));
            let grade = score.grade.map_or("–", Grade::as_str);
            card("Responsiveness", score.grade.map_or("", grade_class), &Html::new().text(grade), &small)
        })
        .some(result.tunnel_tax.as_ref(), |tax| {
            let ratio = |ratio| or_dash(ratio, |ratio| format!("×{ratio:.2}"));
            let small = Html::new()
                .raw("of the direct rate; CPU ")
                .text(&ratio(tax.cpu_ratio))
                .some(tax.echo_p50_difference_us, |us| {
                    Html::new().raw(", ").text(&grew("round trip", us.value()))
                });
            card("Tunnel", "", &Html::new().text(&ratio(tax.rate_ratio)), &small)
        })
        .with(&cost_card(result))
        .raw("</div>\n")
}

fn rate_card(phase: &Phase) -> Html {
    let class = match phase.direction() {
        Some(Direction::Up) => "up",
        _ => "down",
    };
    let name = match (phase.direction(), phase.mode) {
        (Some(Direction::Up), PhaseMode::Direct) => "Upload",
        (Some(Direction::Up), PhaseMode::Tunneled) => "Upload, tunneled",
        (Some(Direction::Down), PhaseMode::Direct) => "Download",
        (Some(Direction::Down), PhaseMode::Tunneled) => "Download, tunneled",
        (None, _) => "Run",
    };
    let small = match phase.steady_mbps {
        Some(_) => Html::new().raw("steady; ").text(&or_dash(phase.mbps, rate)).raw(" over the whole run"),
        None => Html::new().raw("over the whole run"),
    };
    card(name, class, &Html::new().text(&or_dash(phase.steady_mbps.or(phase.mbps), rate)), &small)
}

fn cost_card(result: &TestResult) -> Html {
    let usage = &result.usage;
    let charged = if usage.charged_bytes.is_some() { "charged" } else { "moved" };
    let small = Html::new().raw(charged).raw("; ").with(&match usage.remaining_bytes {
        Some(left) => Html::new().text(&bytes(left)).raw(" left today"),
        None => Html::new().raw("no byte limit is known"),
    });
    card("Cost", "", &Html::new().text(&bytes(usage.charged_bytes.unwrap_or(usage.bytes))), &small)
}

fn card(name: &'static str, class: &'static str, big: &Html, small: &Html) -> Html {
    Html::new()
        .raw("<section class=\"card\"><h2>")
        .raw(name)
        .raw("</h2><p class=\"big ")
        .raw(class)
        .raw("\">")
        .with(big)
        .raw("</p><p class=\"small\">")
        .with(small)
        .raw("</p></section>\n")
}

fn grade_class(grade: Grade) -> &'static str {
    match grade {
        Grade::APlus | Grade::A => "good",
        Grade::B | Grade::C => "fair",
        Grade::D | Grade::F => "poor",
    }
}

fn warnings(result: &TestResult) -> Html {
    Html::new().some((!result.warnings.is_empty()).then_some(&result.warnings), |warnings| {
        Html::new()
            .raw("<section class=\"card warnings\" aria-label=\"Warnings\">\n")
            .each(warnings, |warning| Html::new().raw("<p>").text(warning).raw("</p>\n"))
            .raw("</section>\n")
    })
}

fn json(result: &TestResult) -> Html {
    let text = result.to_json().ok().filter(|text| text.len() <= MOST_JSON_BYTES);
    Html::new().some(text, |text| {
        Html::new()
            .raw("<details class=\"card\"><summary>The result as JSON</summary>\n<pre tabindex=\"0\" aria-label=\"JSON\">")
            .lines(&text)
            .raw("</pre></details>\n")
    })
}

#[cfg(test)]
mod tests;
