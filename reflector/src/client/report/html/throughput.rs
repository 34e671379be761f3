//! The plot of what arrived over time. Pure.

use crate::client::result::{Interval, Phase};
use crate::engine::evidence::limit::Direction;

use super::super::text::{or_dash, rate, seconds};
use super::axis::{OF_RATES, OF_TIME, SIZE, linear};
use super::markup::Html;

/// Without these first seconds a rate is steady.
const STEADY_FROM_S: f64 = 2.0;
/// A screen has no more columns; neighbours are averaged until there are as few.
const MOST_STEPS: usize = 600;

/// One step of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    from_s: f64,
    to_s: f64,
    mbps: f64,
}

/// The plot of a phase; nothing when there is nothing to draw.
pub(super) fn plot(phase: &Phase) -> Option<Html> {
    let steps = steps(&phase.intervals);
    let end_s = steps.last()?.to_s;
    let highest = steps.iter().map(|step| step.mbps).fold(0.0, f64::max);
    let ticks = linear(highest, &OF_RATES);
    let top = ticks.last().copied().filter(|top| *top > 0.0)?;
    let x = |s: f64| s / end_s * SIZE;
    let y = |mbps: f64| SIZE - mbps / top * SIZE;
    let colour = match phase.direction() {
        Some(Direction::Up) => "up",
        _ => "down",
    };
    let mean = phase.steady_mbps.or(phase.mbps).map(crate::engine::evidence::Real::value);
    let said = format!(
        "Throughput of {} over {}: {} over the whole run, {} steady, {} at most",
        phase.name,
        seconds(end_s),
        or_dash(phase.mbps, rate),
        or_dash(phase.steady_mbps, rate),
        rate(highest)
    );
    let drawing = Html::new()
        .raw("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"")
        .text(&said)
        .raw("\">\n")
        .raw("<rect class=\"start\" x=\"0\" y=\"0\" height=\"1000\" width=\"")
        .at(x(STEADY_FROM_S.min(end_s)))
        .raw("\"/>\n")
        .each(&ticks, |tick| across(y(*tick), "grid"))
        .raw("<path class=\"area ")
        .raw(colour)
        .raw("\" d=\"M0 1000")
        .with(&curve(&steps, x, y))
        .raw("V1000Z\"/>\n<path class=\"curve ")
        .raw(colour)
        .raw("\" d=\"M0 ")
        .at(y(steps[0].mbps))
        .with(&curve(&steps, x, y))
        .raw("\"/>\n")
        .some(mean, |mean| across(y(mean), "mean"))
        .raw("</svg>\n");
    let name = if phase.steady_mbps.is_some() { "steady" } else { "mean" };
    let figure = Html::new()
        .raw("<figure class=\"plot\">\n<figcaption>Throughput over time")
        .some(mean, |mean| Html::new().raw("<span>").raw(name).raw(" ").text(&rate(mean)).raw("</span>"))
        .raw("</figcaption>\n<div class=\"canvas rates\">\n")
        .with(&drawing)
        .each(ticks.iter().filter(|tick| **tick > 0.0), |tick| {
            label_y(y(*tick), &rate(*tick).replace(".0 ", " "))
        })
        .each(linear(end_s, &OF_TIME).iter().filter(|s| **s > 0.0 && **s <= end_s), |s| {
            label_x(x(*s), &seconds_short(*s))
        })
        .raw("</div>\n<p class=\"key\">Each step is what arrived in about ")
        .text(&step_said(&steps))
        .raw(". The shaded start is left out of the steady rate (dashed).</p>\n</figure>\n");
    Some(figure)
}

fn steps(intervals: &[Interval]) -> Vec<Step> {
    let size = intervals.len().div_ceil(MOST_STEPS).max(1);
    let merged = intervals.chunks(size).filter_map(|chunk| {
        let (from_s, to_s) = (chunk.first()?.start_s.value(), chunk.last()?.end_s.value());
        let bytes: u64 = chunk.iter().map(|interval| interval.bytes).sum();
        let mbps = crate::engine::evidence::Real::mbps(bytes, to_s - from_s)?.value();
        Some(Step { from_s, to_s, mbps })
    });
    merged.collect()
}

fn step_said(steps: &[Step]) -> String {
    let width = steps.first().map_or(0.0, |step| step.to_s - step.from_s);
    if width < 1.0 { format!("{:.0} ms", (width * 100.0).round() * 10.0) } else { format!("{width:.1} s") }
}

fn curve(steps: &[Step], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> Html {
    Html::new().each(steps, |step| Html::new().raw("V").at(y(step.mbps)).raw("H").at(x(step.to_s)))
}

fn seconds_short(s: f64) -> String {
    if s.fract().abs() < 1e-9 { format!("{s:.0} s") } else { format!("{s} s") }
}

pub(super) fn across(y: f64, class: &'static str) -> Html {
    Html::new()
        .raw("<line x1=\"0\" x2=\"1000\" class=\"")
        .raw(class)
        .raw("\" y1=\"")
        .at(y)
        .raw("\" y2=\"")
        .at(y)
        .raw("\"/>\n")
}

fn label_y(y: f64, text: &str) -> Html {
    Html::new().raw("<span class=\"y\" style=\"top:").at(y / 10.0).raw("%\">").text(text).raw("</span>\n")
}

pub(super) fn label_x(x: f64, text: &str) -> Html {
    // The outermost labels stay inside the plot.
    let class = if x > SIZE * 0.93 { "x last" } else { "x" };
    Html::new()
        .raw("<span class=\"")
        .raw(class)
        .raw("\" style=\"left:")
        .at(x / 10.0)
        .raw("%\">")
        .text(text)
        .raw("</span>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::result::samples;

    #[test]
    fn a_long_run_is_averaged_and_no_byte_is_lost() {
        let intervals: Vec<Interval> = (0..36_000u32)
            .map(|tick| {
                Interval::new(
                    f64::from(tick) / 10.0,
                    f64::from(tick + 1) / 10.0,
                    vec![u64::from(tick % 7) * 1000],
                )
            })
            .collect();
        let steps = steps(&intervals);
        assert!(steps.len() <= MOST_STEPS && steps.len() > MOST_STEPS / 2);
        let bytes: u64 = intervals.iter().map(|interval| interval.bytes).sum();
        let drawn: f64 = steps.iter().map(|step| step.mbps * (step.to_s - step.from_s) * 1e6 / 8.0).sum();
        assert!((drawn / crate::engine::evidence::float(bytes) - 1.0).abs() < 1e-3, "{drawn} of {bytes}");
        assert!((steps.last().unwrap().to_s - 3600.0).abs() < 1e-6);
    }

    #[test]
    fn a_run_without_intervals_or_bytes_has_a_plot_only_if_there_is_one() {
        let mut phase = samples::cable().phases.remove(0);
        for interval in &mut phase.intervals {
            *interval = Interval::new(interval.start_s.value(), interval.end_s.value(), vec![0]);
        }
        assert!(plot(&phase).unwrap().finish().contains("0 Mbit/s at most"));
        phase.intervals.clear();
        assert_eq!(plot(&phase), None);
    }
}
