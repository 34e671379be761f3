//! Whether the processor was slowed down by heat, or by too little voltage, during a run. Pure; the texts come from
//! `read`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Signs of a processor that was not allowed its full speed. Absent when the host has no such sensor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Thermal {
    /// A Raspberry Pi's firmware capped or throttled the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware_throttled: Option<bool>,
    /// A Raspberry Pi's power supply was too weak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under_voltage: Option<bool>,
    /// How often a core or package got too hot (x86).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle_events: Option<u64>,
}

/// Bits of `get_throttled`: now, and 16 bits higher: at some time before.
const UNDER_VOLTAGE: u32 = 1;
/// Frequency capped, throttled, soft temperature limit.
const SLOWED: u32 = 0b1110;
const EARLIER: u32 = 16;

/// A sensor at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Felt {
    /// `get_throttled` of a Raspberry Pi.
    pub(super) firmware: Option<u32>,
    /// Sum of the throttle counts of all cores and packages.
    pub(super) events: Option<u64>,
}

impl Felt {
    /// This moment and a later one: what was raised in one of them stays raised, counts are the later ones.
    pub(super) fn and(self, later: Self) -> Self {
        let firmware = match (self.firmware, later.firmware) {
            (Some(one), Some(other)) => Some(one | other),
            (one, other) => one.or(other),
        };
        Self { firmware, events: later.events.or(self.events) }
    }
}

/// What was felt from `begin` on; `seen` is every later moment taken together. A flag of the time before counts only if
/// it was not there at the beginning.
pub(super) fn between(begin: Felt, seen: Felt) -> Option<Thermal> {
    let raised = |bits: u32| {
        let (before, all) = (begin.firmware?, seen.firmware?);
        let new = (all & !before) >> EARLIER;
        Some((all | before | new) & bits != 0)
    };
    let thermal = Thermal {
        firmware_throttled: raised(SLOWED),
        under_voltage: raised(UNDER_VOLTAGE),
        throttle_events: seen.events.zip(begin.events).map(|(end, begin)| end.saturating_sub(begin)),
    };
    (thermal != Thermal::default()).then_some(thermal)
}

/// `get_throttled` is a hexadecimal number, with or without `0x`.
pub(super) fn firmware(text: &str) -> Option<u32> {
    let text = text.trim();
    u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pi(firmware: u32) -> Felt {
        Felt { firmware: Some(firmware), events: None }
    }

    /// H7: a Raspberry Pi 5, as its firmware counts.
    #[test]
    fn a_flag_counts_when_it_was_raised_during_the_run() {
        let flags = |begin, seen: &[u32]| {
            let all = seen.iter().map(|bits| pi(*bits)).reduce(Felt::and).unwrap();
            let thermal = between(pi(begin), all).unwrap();
            (thermal.firmware_throttled.unwrap(), thermal.under_voltage.unwrap())
        };
        assert_eq!(flags(0, &[0, 0]), (false, false));
        // In the middle, and gone at the end.
        assert_eq!(flags(0, &[0, 0x4, 0]), (true, false));
        assert_eq!(flags(0, &[0x8, 0]), (true, false));
        // Before the run only.
        assert_eq!(flags(0xf_0000, &[0xf_0000]), (false, false));
        // Between two looks: only the higher bit remembers.
        assert_eq!(flags(0x1_0000, &[0x3_0000]), (true, false));
        assert_eq!(flags(0, &[0x1_0000]), (false, true));
        assert_eq!(flags(0, &[0x5_0005]), (true, true));
    }

    #[test]
    fn throttle_counts_are_those_of_the_run() {
        let at = |events| Felt { firmware: None, events: Some(events) };
        assert_eq!(between(at(40), at(43)).unwrap().throttle_events, Some(3));
        assert_eq!(between(at(40), at(40)).unwrap().throttle_events, Some(0));
    }

    #[test]
    fn a_host_without_sensors_says_nothing() {
        assert_eq!(between(Felt::default(), Felt::default()), None);
        assert_eq!(between(Felt::default(), pi(4)), None);
        for (text, value) in
            [("0\n", Some(0)), ("50005\n", Some(0x5_0005)), ("0x8", Some(8)), ("", None), ("x", None)]
        {
            assert_eq!(firmware(text), value, "{text:?}");
        }
    }
}
