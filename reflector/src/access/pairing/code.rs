//! Codes: their form is the operator's, too, and lives in [`crds::pairing`]; the random numbers are ours.

pub use crds::pairing::Code;

/// A new code from the system's random numbers, each of the 2^40 equally likely.
pub(super) fn generate() -> Result<Code, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(Code::from_random(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_codes_use_every_symbol_and_do_not_repeat() {
        let codes: Vec<String> = (0..500).map(|_| generate().unwrap().to_string()).collect();
        let symbols: std::collections::BTreeSet<char> = codes.iter().flat_map(|c| c.chars()).collect();
        assert_eq!(symbols.len(), 32);
        let distinct: std::collections::BTreeSet<&String> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len());
    }
}
