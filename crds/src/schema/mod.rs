//! Schemas the derive cannot write: closed sets that are read openly, list types, CEL rules, and borrowed Kubernetes
//! types with descriptions short enough to keep the CRDs small.
//!
//! In: nothing but the constants the validator uses too. Out: JSON for `#[schemars(schema_with = …)]`.

pub(crate) mod amount;
mod condition;
pub(crate) mod duration;
pub(crate) mod endpoint_id;
mod open;
pub(crate) mod pod;
pub(crate) mod port;
pub(crate) mod rule;
pub(crate) mod transition;

pub(crate) use condition::conditions;
pub(crate) use open::open_enum;

use schemars::{Schema, SchemaGenerator, json_schema};

/// One of these words. The API server refuses others; reading keeps them, so that validation can.
pub(crate) fn choice(words: &[&str]) -> Schema {
    json_schema!({ "type": "string", "enum": words })
}

/// A moment the writer is a program.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// A moment a person writes. Not by `format: date-time`, which takes what is no moment (`+99:99`, whatever follows the
/// `Z`); the years are those that the calendars of API server and reflector both have. `peer::moment` reads the same.
pub(crate) fn typed_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 64,
        "x-kubernetes-validations": rule::rules(&[(
            "self.matches('^([1-8][0-9]{3}|9([0-8][0-9]{2}|9[0-8][0-9]|99[0-8]))-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$') && timestamp(self).getFullYear() > 0",
            "is no moment: write a time such as 2026-12-31T00:00:00Z",
        )]),
    })
}

/// A cron expression of five fields.
pub(crate) fn cron(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 128,
        "x-kubernetes-validations": rule::rules(&[(
            r"self.matches('^\\s*[^\\s]+(\\s+[^\\s]+){4}\\s*$')",
            "write five fields (minute, hour, day, month, weekday), such as \"0 22 * * *\"",
        )]),
    })
}

/// An IANA name.
pub(crate) fn time_zone(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 64,
        "x-kubernetes-validations": rule::rules(&[(
            "self.matches('^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$')",
            "is not a time zone: write an IANA name such as Europe/Paris, or UTC",
        )]),
    })
}

/// A name for people.
pub(crate) fn display_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 128,
        "x-kubernetes-validations": rule::rules(&[(
            r"!self.matches('\\p{Cc}')",
            "holds a line break or another control character: write one line of text",
        )]),
    })
}

/// The name of an object.
pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "x-kubernetes-validations": rule::rules(&[(
            "self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$')",
            "is no name of an object: write lower-case letters, digits and dashes, such as attic",
        )]),
    })
}
