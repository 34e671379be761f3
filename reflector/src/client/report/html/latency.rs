//! The plot of round-trip times: how echoes were spread, idle and loaded, one above the other on one axis. Pure.

use crate::client::result::{Bin, Echo, Phase};
use crate::engine::evidence::{Real, float};

use super::super::text::{count, or_dash, time};
use super::axis::{Log, SIZE};
use super::markup::Html;
use super::throughput::label_x;

/// Columns of a distribution.
const COLUMNS: usize = 64;
/// A distribution leaves this much of its band free for the words above it.
const HEADROOM: f64 = 0.74;

/// The plot of a phase; nothing without echoes.
pub(super) fn plot(phase: &Phase) -> Option<Html> {
    let bands: Vec<(&'static str, &'static str, &Echo)> = [
        ("idle", "idle", phase.echo_idle.as_ref()),
        (if phase.transport.is_some() { "loaded" } else { "echo" }, "loaded", phase.echo_loaded.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, class, echo)| Some((name, class, echo.filter(|echo| !echo.histogram.is_empty())?)))
    .collect();
    let bins = || bands.iter().flat_map(|(_, _, echo)| &echo.histogram);
    let low = bins().map(|bin| bin.from_us.value()).reduce(f64::min)?;
    let high = bins().map(|bin| bin.to_us.value()).reduce(f64::max)?;
    let axis = Log::new(low, high)?;
    let figure = Html::new()
        .raw("<figure class=\"plot\">\n<figcaption>Round-trip time")
        .raw(if phase.transport.is_some() { ", idle and loaded" } else { "" })
        .raw("</figcaption>\n<div class=\"canvas bands\">\n")
        .each(&bands, |(name, class, echo)| band(name, class, echo, axis))
        .each(axis.ticks(), |tick| label_x(axis.place(tick), &tick_said(tick)))
        .raw("</div>\n<p class=\"key\">Share of echoes by round-trip time; each row has its own height. Lines mark the median and the 95th percentile.</p>\n</figure>\n");
    Some(figure)
}

fn tick_said(us: f64) -> String {
    let (number, unit) = match us {
        _ if us >= 1e6 => (us / 1e6, "s"),
        _ if us >= 1e3 => (us / 1e3, "ms"),
        _ => (us, "µs"),
    };
    // Ticks are 1, 2 or 5 times a power of ten: what is left of a division is a rounding.
    format!("{} {unit}", (number * 10.0).round() / 10.0)
}

fn band(name: &'static str, class: &'static str, echo: &Echo, axis: Log) -> Html {
    let columns = spread(&echo.histogram, axis);
    let highest = columns.iter().copied().fold(0.0, f64::max);
    let marks = [("median", echo.p50_us), ("95 %", echo.p95_us)];
    let said = format!(
        "Round-trip times, {name}: median {}, 95 % below {}, 99 % below {}, of {} echoes",
        or_dash(echo.p50_us, time),
        or_dash(echo.p95_us, time),
        or_dash(echo.p99_us, time),
        count(echo.n)
    );
    Html::new()
        .raw("<div class=\"band\">\n<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"")
        .text(&said)
        .raw("\">\n")
        .each(axis.ticks(), |tick| down(axis.place(tick), "grid"))
        .raw("<path class=\"area ")
        .raw(class)
        .raw("\" d=\"M0 1000")
        .with(&outline(&columns, highest))
        .raw("V1000Z\"/>\n<path class=\"curve ")
        .raw(class)
        .raw("\" d=\"M0 1000")
        .with(&outline(&columns, highest))
        .raw("\"/>\n")
        .each(marks.into_iter().filter_map(|(_, us)| us), |us| down(axis.place(us.value()), "mark"))
        .raw("</svg>\n<span class=\"name ")
        .raw(class)
        .raw("\">")
        .raw(name)
        .raw("</span>\n<span class=\"numbers\">")
        .text(&numbers(&marks))
        .raw("</span>\n</div>\n")
}

fn numbers(marks: &[(&str, Option<Real>)]) -> String {
    let known = marks.iter().filter_map(|(name, us)| Some(format!("{name} {}", time((*us)?.value()))));
    known.collect::<Vec<_>>().join(" · ")
}

/// How many echoes each column holds; those of a bin are spread over the columns it touches.
fn spread(bins: &[Bin], axis: Log) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "64 columns")]
    let width = SIZE / COLUMNS as f64;
    let mut columns = vec![0.0; COLUMNS];
    for bin in bins {
        let from = axis.place(bin.from_us.value());
        // A bin narrower than a hair is one.
        let to = axis.place(bin.to_us.value()).max(from + 1e-6);
        let mut left = 0.0;
        for column in &mut columns {
            let right = left + width;
            let overlap = (to.min(right) - from.max(left)).max(0.0);
            *column += float(bin.n) * overlap / (to - from);
            left = right;
        }
    }
    columns
}

fn outline(columns: &[f64], highest: f64) -> Html {
    let y = |n: f64| if highest > 0.0 { SIZE - n / highest * SIZE * HEADROOM } else { SIZE };
    let mut x = 0.0;
    Html::new().each(columns, |n| {
        x += SIZE / float(columns.len() as u64);
        Html::new().raw("V").at(y(*n)).raw("H").at(x)
    })
}

fn down(x: f64, class: &'static str) -> Html {
    Html::new()
        .raw("<line y1=\"")
        // Marks leave the words free.
        .at(if class == "mark" { SIZE * (1.0 - HEADROOM) * 0.9 } else { 0.0 })
        .raw("\" y2=\"1000\" class=\"")
        .raw(class)
        .raw("\" x1=\"")
        .at(x)
        .raw("\" x2=\"")
        .at(x)
        .raw("\"/>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::result::samples;

    /// A histogram is a count: drawn, it is still the same number of echoes.
    #[test]
    fn every_echo_is_drawn_once() {
        for (name, sample) in samples::all() {
            for echo in
                sample.phases.iter().flat_map(|phase| [&phase.echo_idle, &phase.echo_loaded]).flatten()
            {
                let bins = &echo.histogram;
                let axis = Log::new(bins[0].from_us.value(), bins[bins.len() - 1].to_us.value()).unwrap();
                let drawn: f64 = spread(bins, axis).iter().sum();
                assert!((drawn - float(echo.n)).abs() < 1e-6, "{name}: {drawn} of {}", echo.n);
            }
        }
        let point = Bin { from_us: Real::of(7.0).unwrap(), to_us: Real::of(7.0).unwrap(), n: 5 };
        let drawn: f64 = spread(&[point], Log::new(7.0, 7.0).unwrap()).iter().sum();
        assert!((drawn - 5.0).abs() < 1e-6, "{drawn}");
    }

    #[test]
    fn without_echoes_there_is_no_plot() {
        let mut phase = samples::cable().phases.remove(0);
        phase.echo_idle = None;
        assert!(plot(&phase).is_some());
        phase.echo_loaded.as_mut().unwrap().histogram.clear();
        assert_eq!(plot(&phase), None);
    }
}
