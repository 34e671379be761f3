//! Amounts of bytes and bits.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::quotas::MIN_RATE;
use crate::reflector::MIN_STORAGE;

use super::rule;

/// Bytes a day.
pub(crate) fn bytes(_: &mut SchemaGenerator) -> Schema {
    amount(1, "5G or 500Mi")
}

/// Bits a second.
pub(crate) fn rate(_: &mut SchemaGenerator) -> Schema {
    amount(MIN_RATE, "500M")
}

/// The size of a claim.
pub(crate) fn storage(_: &mut SchemaGenerator) -> Schema {
    amount(MIN_STORAGE, "64Mi")
}

fn amount(least: u64, example: &str) -> Schema {
    let text = format!(
        r"self.matches('^[0-9]+([.][0-9]+)?([kMGTPE]|[KMGTPE]i)?$') && quantity(self).compareTo(quantity('{least}')) >= 0"
    );
    let rule = format!("type(self) == int ? self >= {least} : {text}");
    let message = format!("must be at least {least}: write digits and a suffix, such as {example}");
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "maxLength": 32,
        "x-kubernetes-validations": rule::rules(&[(rule, message)]),
    })
}
