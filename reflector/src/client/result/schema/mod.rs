//! The JSON Schema of a result, made from the types.

use schemars::generate::SchemaSettings;

use super::TestResult;

/// JSON Schema (2020-12) of `reflector.test/1`, as the reference has it.
pub fn json_schema() -> serde_json::Value {
    // Of what we write: a key that is always written is required, whatever we forgive when reading.
    let schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<TestResult>();
    schema.to_value()
}

#[cfg(test)]
mod tests;
