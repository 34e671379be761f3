//! Durations: text or a number of seconds, with the range in the rule and in its message.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::rule;

/// Longest text, as in `quantity`.
const MAX_LENGTH: u32 = 32;
/// What a duration looks like. Nine digits cannot overflow when they are days.
const SHAPE: &str = "^0*[0-9]{1,9}[smhd]?$";

/// How long a test may be.
pub(crate) fn test(_: &mut SchemaGenerator) -> Schema {
    number_or_text(1, 300, "1s to 300s", "60s")
}

/// A pause between tests.
pub(crate) fn cooldown(_: &mut SchemaGenerator) -> Schema {
    number_or_text(0, 86_400, "0s to 24h", "5s")
}

/// Life of a pairing code.
pub(crate) fn pairing_ttl(_: &mut SchemaGenerator) -> Schema {
    number_or_text(1, 86_400, "1s to 24h", "10m")
}

/// How long a policy holds without its source.
pub(crate) fn offline_grace(_: &mut SchemaGenerator) -> Schema {
    number_or_text(0, 30 * 86_400, "0s to 30d", "24h")
}

/// How long a window lasts. Text only: in a list the cost of a rule is counted per entry, and for a field that may be
/// a number the API server assumes the longest text there can be.
pub(crate) fn window(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": MAX_LENGTH,
        "x-kubernetes-validations": rule::rules(&[(text(1, 7 * 86_400), message("1s to 7d", "8h"))]),
    })
}

fn number_or_text(least: u32, most: u32, range: &str, example: &str) -> Schema {
    let rule = format!("type(self) == int ? self >= {least} && self <= {most} : {}", text(least, most));
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "maxLength": MAX_LENGTH,
        "x-kubernetes-validations": rule::rules(&[(rule, message(range, example))]),
    })
}

fn text(least: u32, most: u32) -> String {
    let unit = "(self.endsWith('d') ? 86400 : self.endsWith('h') ? 3600 : self.endsWith('m') ? 60 : 1)";
    format!(
        "self.matches('{SHAPE}') && [int(self.find('[0-9]+')) * {unit}].all(s, s >= {least} && s <= {most})"
    )
}

fn message(range: &str, example: &str) -> String {
    format!("must be {range}: write a whole number and one unit (s, m, h, d), such as {example}")
}
