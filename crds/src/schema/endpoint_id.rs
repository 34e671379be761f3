//! Endpoint IDs: shape and check symbol, in CEL.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::rule;

/// The symbols in the order of their values.
const SINGLE: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// The same in the order of twice their value, folded to two base-32 digits: what Luhn adds at every other place.
const DOUBLE: &str = "0G1H2J3K4M5N6P7Q8R9SATBVCWDXEYFZ";

/// An Endpoint ID a person writes.
pub(crate) fn typed(_: &mut SchemaGenerator) -> Schema {
    // Read as forgivingly as `EndpointId::from_str`.
    let plain = "self.upperAscii().replace('-', '').replace('O', '0').replace('I', '1').replace('L', '1')";
    let shape = format!("{plain}.matches('^PP[{SINGLE}]{{51}}[0G][{SINGLE}]$')");
    // Every term has the whole text: a variable would have no size for the API server, which then counts the worst.
    let sum: Vec<String> = (0..53)
        .map(|place| {
            let values = if place % 2 == 1 && place < 52 { DOUBLE } else { SINGLE };
            format!("'{values}'.indexOf({plain}.substring({}, {}))", place + 2, place + 3)
        })
        .collect();
    let check = format!("!{shape} || [{}].sum() % 32 == 0", sum.join(", "));
    json_schema!({
        "type": "string",
        "maxLength": 69,
        "x-kubernetes-validations": rule::rules(&[
            (shape.as_str(), "is not an Endpoint ID: write PP- and 53 symbols (0-9 and A-Z without I, L, O, U) as the appliance or `reflector show-id` prints it"),
            (check.as_str(), "has a wrong check symbol: a symbol was mistyped, or two were swapped; copy the Endpoint ID again, whole"),
        ]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_table_is_the_first_one_doubled_and_folded() {
        for (value, symbol) in SINGLE.chars().enumerate() {
            assert_eq!(DOUBLE.find(symbol), Some(value * 2 / 32 + value * 2 % 32), "{symbol}");
        }
    }
}
