//! What both kinds share: a scalar that came as text or as a number and goes back the same way.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest text kept. Anything meaningful is far shorter; longer ones are cut so an error message stays readable.
pub(super) const MAX_LENGTH: usize = 32;

/// A scalar as typed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Typed {
    text: String,
    /// Typed without quotes, as a number: written back as one.
    number: bool,
}

impl Typed {
    pub(super) fn text(text: &str) -> Self {
        // One character more than allowed survives, so an overlong text cannot become a valid one by the cut.
        Self { text: text.chars().take(MAX_LENGTH + 1).collect(), number: false }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn too_long(&self) -> bool {
        self.text.chars().count() > MAX_LENGTH
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Typed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.number, self.text.parse::<u64>(), self.text.parse::<i64>()) {
            (true, Ok(value), _) => serializer.serialize_u64(value),
            (true, _, Ok(value)) => serializer.serialize_i64(value),
            _ => serializer.serialize_str(&self.text),
        }
    }
}

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl de::Visitor<'_> for Scalar {
            type Value = Typed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a number")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Typed, E> {
                Ok(Typed::text(v))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Typed, E> {
                Ok(Typed { text: v.to_string(), number: true })
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Typed, E> {
                Ok(Typed { text: v.to_string(), number: true })
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Typed, E> {
                // `5e9` without quotes: whole, so its digits stand for it. A fraction keeps its point and is refused
                // where the value is asked for.
                Ok(Typed { number: true, ..Typed::text(&v.to_string()) })
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

/// The schema both share: Kubernetes' int-or-string with a pattern for the text form.
pub(super) fn schema(description: &str, pattern: &str) -> schemars::Schema {
    schemars::json_schema!({
        "description": description,
        "x-kubernetes-int-or-string": true,
        "maxLength": MAX_LENGTH,
        "pattern": pattern,
    })
}
