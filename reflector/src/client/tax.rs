//! What the tunnel costs, from runs that went directly and through it in turn. Pure.

use super::result::{Phase, PhaseMode, TunnelTax};
use crate::engine::evidence::{Real, float};

/// The tax of a comparison; `None` without a run of each kind.
pub(super) fn tunnel_tax(phases: &[Phase]) -> Option<TunnelTax> {
    let of = |mode| phases.iter().filter(move |phase| phase.mode == mode);
    let (direct, tunneled) = (of(PhaseMode::Direct), of(PhaseMode::Tunneled));
    let pairs = direct.clone().count().min(tunneled.clone().count());
    if pairs == 0 {
        return None;
    }
    let ratio = |field: fn(&Phase) -> Option<Real>| {
        Real::ratio(mean(tunneled.clone(), field)?, mean(direct.clone(), field)?, 1.0)
    };
    let p50 = |phase: &Phase| phase.echo_idle.as_ref()?.p50_us;
    Some(TunnelTax {
        pairs: u32::try_from(pairs).unwrap_or(u32::MAX),
        rate_ratio: ratio(|phase| phase.mbps),
        cpu_ratio: ratio(cpu),
        echo_p50_difference_us: mean(tunneled.clone(), p50)
            .zip(mean(direct.clone(), p50))
            .and_then(|(tunneled, direct)| Real::of(tunneled - direct)),
    })
}

/// Both ends where both are known, else ours: the same of every run, or the ratio compares two things.
fn cpu(phase: &Phase) -> Option<Real> {
    let (ours, theirs) = (phase.cpu.local_s_per_gb?, phase.cpu.remote_s_per_gb);
    Real::of(ours.value() + theirs.map_or(0.0, Real::value))
}

fn mean<'a>(phases: impl Iterator<Item = &'a Phase>, field: impl Fn(&Phase) -> Option<Real>) -> Option<f64> {
    let known: Vec<f64> = phases.map(field).map(|value| value.map(Real::value)).collect::<Option<_>>()?;
    let count = u64::try_from(known.len()).ok().filter(|count| *count > 0)?;
    Some(known.iter().sum::<f64>() / float(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::result::{CpuCost, Echo, samples};

    fn phase(mode: PhaseMode, mbps: f64, cpu: Option<f64>, p50: f64) -> Phase {
        let echo = Echo { p50_us: Real::of(p50), ..Echo::default() };
        Phase {
            mode,
            mbps: Real::of(mbps),
            cpu: CpuCost { local_s_per_gb: cpu.and_then(Real::of), remote_s_per_gb: None },
            echo_idle: Some(echo),
            ..samples::complete().phases.swap_remove(0)
        }
    }

    /// X8
    #[test]
    fn the_tax_is_the_ratio_of_means_and_the_difference_of_medians() {
        let phases = [
            phase(PhaseMode::Direct, 1000.0, Some(0.2), 40.0),
            phase(PhaseMode::Tunneled, 500.0, Some(0.5), 140.0),
            phase(PhaseMode::Direct, 3000.0, Some(0.4), 60.0),
            phase(PhaseMode::Tunneled, 700.0, Some(0.7), 160.0),
        ];
        let tax = tunnel_tax(&phases).unwrap();
        assert_eq!((tax.pairs, tax.rate_ratio), (2, Real::of(0.3)));
        assert_eq!((tax.cpu_ratio, tax.echo_p50_difference_us), (Real::of(2.0), Real::of(100.0)));
    }

    /// X8
    #[test]
    fn without_a_pair_there_is_no_tax_and_what_is_unknown_stays_unknown() {
        assert_eq!(tunnel_tax(&[phase(PhaseMode::Direct, 1.0, None, 1.0)]), None);
        let pair =
            [phase(PhaseMode::Direct, 1.0, Some(1.0), 1.0), phase(PhaseMode::Tunneled, 1.0, None, 1.0)];
        assert_eq!(tunnel_tax(&pair).unwrap().cpu_ratio, None);
    }
}
