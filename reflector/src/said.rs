//! Numbers as people say them: one way for the whole program.

/// Bytes as people say them.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] =
        [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    for (name, unit) in UNITS {
        if count >= unit {
            let tenths = count / (unit / 10);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

/// Bits as megabits, with as many decimals as it takes down to a kilobit.
pub(crate) fn megabits(bits: u64) -> String {
    let (whole, rest) = (bits / 1_000_000, bits % 1_000_000 / 1_000);
    let text = format!("{whole}.{rest:03}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_largest_unit_never_rounded_up() {
        for (count, said) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_999_999, "1.9 MB"),
            (5_000_000_000, "5.0 GB"),
            (u64::MAX, "18446744.0 TB"),
        ] {
            assert_eq!(bytes(count), said);
        }
    }

    #[test]
    fn megabits_have_no_more_decimals_than_needed() {
        for (bits, said) in [(20_000_000, "20"), (1_500_000, "1.5"), (64_000, "0.064"), (999, "0")] {
            assert_eq!(megabits(bits), said);
        }
    }
}
