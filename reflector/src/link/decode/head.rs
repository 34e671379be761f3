//! The envelope, as far as it can be read: what came before a syntax error is kept, so the error finds its way back
//! to the request it answers.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::MAX_REQUEST_ID;

/// Raw text of the envelope's two fields; borrows from the payload.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) request_id: Option<&'a RawValue>,
    pub(super) payload: Option<&'a RawValue>,
}

impl<'a> Head<'a> {
    /// Fills in what it meets. On an error the fields met before it are set.
    pub(super) fn read(&mut self, text: &'a str) -> Result<(), serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        Fill(self).deserialize(&mut json)?;
        json.end()
    }
}

/// `None`: not a string, or longer than anyone's.
pub(super) fn text_of_request_id(raw: &RawValue) -> Option<String> {
    // A byte of text takes at most six in JSON (`\u0041`), and two quotes.
    if raw.get().len() > MAX_REQUEST_ID * 6 + 2 {
        return None;
    }
    serde_json::from_str::<String>(raw.get()).ok().filter(|id| id.len() <= MAX_REQUEST_ID)
}

struct Fill<'h, 'a>(&'h mut Head<'a>);

impl<'de> DeserializeSeed<'de> for Fill<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    RequestId,
    Payload,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for Fill<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with request_id and payload")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            let (field, name) = match key {
                Key::RequestId => (&mut self.0.request_id, "request_id"),
                Key::Payload => (&mut self.0.payload, "payload"),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            // Two values for one field: readers that keep the first and readers that keep the last would disagree.
            if field.is_some() {
                return Err(A::Error::duplicate_field(name));
            }
            *field = Some(map.next_value()?);
        }
        Ok(())
    }
}
