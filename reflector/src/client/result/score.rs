//! Responsiveness: how often in a minute one could ask and be answered while the path is full, and the grade.
//!
//! Like the RPM of draft-ietf-ippm-responsiveness, but of other samples, so it has its own name. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::evidence::Real;
use crate::engine::evidence::float;

use super::phase::{Phase, PhaseMode};

/// How it is computed.
pub const METHOD: &str = "60000 / mean of (loaded echo RTT, mean of the lower 95 %; mean tcpi_rtt of the loading streams), in ms; grade by rise of echo p95";

/// One echo in so many is cut off at the slow end before the mean, as RPM does: a pause of the scheduler is not what a
/// person feels.
const TRIM_ONE_IN: usize = 20;

/// Milliseconds in a minute.
const MINUTE_MS: f64 = 60_000.0;

/// Responsiveness of a test: that of its worst phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Responsiveness {
    /// Round trips per minute under load, of the worst phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<Real>,
    /// The worst grade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<Grade>,
    /// How it is computed.
    pub method: String,
    /// Each phase that has one.
    pub phases: Vec<PhaseScore>,
}

/// Responsiveness of one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseScore {
    /// Name of the phase.
    pub name: String,
    /// Through the tunnel it is the tunnel's, not the path's.
    pub mode: PhaseMode,
    /// Round trips per minute under load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<Real>,
    /// The grade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<Grade>,
    /// By how much the load raised the 95th percentile of echoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_rise_ms: Option<Real>,
}

/// How much a full path delays everybody else; worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Grade {
    /// Less than 5 ms.
    #[serde(rename = "A+")]
    APlus,
    /// Less than 30 ms.
    A,
    /// Less than 60 ms.
    B,
    /// Less than 200 ms.
    C,
    /// Less than 400 ms.
    D,
    /// 400 ms or more.
    F,
}

impl Grade {
    /// By the rise of the 95th percentile.
    pub fn of_rise_ms(rise: f64) -> Self {
        match rise {
            rise if rise < 5.0 => Self::APlus,
            rise if rise < 30.0 => Self::A,
            rise if rise < 60.0 => Self::B,
            rise if rise < 200.0 => Self::C,
            rise if rise < 400.0 => Self::D,
            _ => Self::F,
        }
    }

    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::APlus => "A+",
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::F => "F",
        }
    }
}

/// Mean of the lower 95 % of echoes. `None` without echoes.
pub fn trimmed_mean(mut rtts: Vec<f64>) -> Option<Real> {
    rtts.sort_by(f64::total_cmp);
    rtts.truncate(rtts.len() - rtts.len() / TRIM_ONE_IN);
    Real::ratio(rtts.iter().sum(), float(rtts.len() as u64), 1.0)
}

/// Round trips per minute from the two delays a person meets under load.
pub fn per_minute(loaded_echo_us: Real, tcp_rtt_us: Real) -> Option<Real> {
    let mean_ms = f64::midpoint(loaded_echo_us.value(), tcp_rtt_us.value()) / 1000.0;
    Real::ratio(MINUTE_MS, mean_ms, 1.0)
}

/// The score of all phases that loaded the path. Those in the tunnel count only when no others ran.
pub fn responsiveness(phases: &[Phase]) -> Option<Responsiveness> {
    let direct = phases.iter().any(|phase| phase.mode == PhaseMode::Direct && phase.direction().is_some());
    let scores: Vec<PhaseScore> = phases
        .iter()
        .filter(|phase| phase.direction().is_some() && (phase.mode == PhaseMode::Direct || !direct))
        .map(score)
        .filter(|score| score.per_minute.is_some() || score.grade.is_some())
        .collect();
    if scores.is_empty() {
        return None;
    }
    let lowest =
        scores.iter().filter_map(|score| score.per_minute).min_by(|a, b| a.value().total_cmp(&b.value()));
    Some(Responsiveness {
        per_minute: lowest,
        grade: scores.iter().filter_map(|score| score.grade).max(),
        method: METHOD.to_owned(),
        phases: scores,
    })
}

fn score(phase: &Phase) -> PhaseScore {
    let loaded = phase.echo_loaded.as_ref();
    let rtts: Vec<f64> =
        phase.streams.iter().filter_map(|stream| stream.tcp.rtt_us).map(Real::value).collect();
    let tcp = Real::ratio(rtts.iter().sum(), float(rtts.len() as u64), 1.0);
    let p95 = |echo: Option<&super::Echo>| echo?.p95_us.map(Real::value);
    let rise = p95(loaded)
        .zip(p95(phase.echo_idle.as_ref()))
        .and_then(|(loaded, idle)| Real::of((loaded - idle) / 1000.0));
    PhaseScore {
        name: phase.name.clone(),
        mode: phase.mode,
        per_minute: loaded
            .and_then(|echo| echo.trimmed_mean_us)
            .zip(tcp)
            .and_then(|(echo, tcp)| per_minute(echo, tcp)),
        grade: rise.map(|rise| Grade::of_rise_ms(rise.value())),
        p95_rise_ms: rise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::result::samples;

    /// Raw samples, and the arithmetic done again in whole nanoseconds: E11, X7
    #[test]
    fn responsiveness_agrees_with_an_independent_computation_from_raw_samples() {
        // 200 echoes: 20 ms ± 6 ms in an order of no meaning, and ten that waited for a second.
        let echoes_ns: Vec<i128> = (0..200i128)
            .map(|i| if i % 20 == 7 { 1_000_000_000 } else { 14_000_000 + (i * 7_919) % 12_000_001 })
            .collect();
        let tcp_ns: [i128; 3] = [23_456_000, 24_000_000, 25_999_000];
        let mut sorted = echoes_ns.clone();
        sorted.sort_unstable();
        let kept = &sorted[..190];
        let echo_mean = kept.iter().sum::<i128>() / 190;
        let tcp_mean = tcp_ns.iter().sum::<i128>() / 3;
        let expected_thousandths = 60_000_000_000_000 * 1000 / i128::midpoint(echo_mean, tcp_mean) / 1000;

        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let us = |ns: i128| ns as f64 / 1000.0;
        let echo = trimmed_mean(echoes_ns.into_iter().map(us).collect()).unwrap();
        let tcp = Real::of(tcp_ns.into_iter().map(us).sum::<f64>() / 3.0).unwrap();
        let measured = per_minute(echo, tcp).unwrap().value() * 1000.0;
        #[expect(clippy::cast_possible_truncation, reason = "a small number")]
        let difference = measured as i128 - expected_thousandths;
        assert!(difference.abs() <= 1, "{measured} is not {expected_thousandths}");
    }

    /// E11
    #[test]
    fn the_grade_changes_at_its_bounds() {
        for (rise, grade) in [
            (-3.0, "A+"),
            (4.999, "A+"),
            (5.0, "A"),
            (29.999, "A"),
            (30.0, "B"),
            (59.999, "B"),
            (60.0, "C"),
            (199.999, "C"),
            (200.0, "D"),
            (399.999, "D"),
            (400.0, "F"),
        ] {
            assert_eq!(Grade::of_rise_ms(rise).as_str(), grade, "{rise}");
            assert_eq!(serde_json::to_value(Grade::of_rise_ms(rise)).unwrap(), grade);
        }
    }

    /// E11
    #[test]
    fn a_test_is_as_responsive_as_its_worst_phase() {
        let mut phases = samples::cable().phases;
        let score = responsiveness(&phases).unwrap();
        let each: Vec<_> =
            score.phases.iter().map(|phase| (phase.name.as_str(), phase.grade.unwrap())).collect();
        assert_eq!(each, [("down", Grade::A), ("up", Grade::C)]);
        assert_eq!((score.grade, score.per_minute), (Some(Grade::C), score.phases[1].per_minute));
        assert!(score.phases[0].per_minute > score.phases[1].per_minute);
        // A tunnel's delay is not the path's: it counts only when there is no other.
        phases[1].mode = PhaseMode::Tunneled;
        assert_eq!(responsiveness(&phases).unwrap().grade, Some(Grade::A));
        assert_eq!(responsiveness(&phases[1..]).unwrap().phases[0].mode, PhaseMode::Tunneled);
    }

    #[test]
    fn half_a_measurement_is_no_score() {
        let mut phase = samples::cable().phases.remove(0);
        phase.echo_idle = None;
        let without_idle = responsiveness(std::slice::from_ref(&phase)).unwrap();
        assert!(without_idle.grade.is_none() && without_idle.per_minute.is_some());
        phase.streams.iter_mut().for_each(|stream| stream.tcp.rtt_us = None);
        assert_eq!(responsiveness(std::slice::from_ref(&phase)), None);
        assert_eq!(trimmed_mean(Vec::new()), None);
        assert_eq!(trimmed_mean(vec![7.0]).map(Real::value), Some(7.0));
    }
}
