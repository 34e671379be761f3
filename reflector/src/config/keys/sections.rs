//! The tables of the file, and all keys one after the other.

use super::{Key, access, logging, network, quotas};

/// The tables of the file, in the order people expect, each with what it is about.
pub const SECTIONS: [(&str, &str); 6] = [
    ("identity", "Who this reflector is."),
    ("network", "Where it listens and how data flows."),
    ("access", "Who may use it."),
    ("quotas", "How much each peer may use."),
    ("iperf3", "Throughput tests."),
    ("logging", "What it writes down."),
];

/// Every key, in the order of the sections.
pub fn all() -> impl Iterator<Item = &'static Key> + Clone {
    [network::KEYS, access::KEYS, quotas::KEYS, logging::KEYS].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_together_by_section_and_in_the_order_of_the_sections() {
        let mut found: Vec<&str> = all().map(|key| key.section).collect();
        found.dedup();
        assert_eq!(found, SECTIONS.map(|(section, _)| section));
    }
}
