//! What a person writes under `quotas`. Field descriptions are what `kubectl explain` prints.

#![expect(clippy::doc_markdown, reason = "field descriptions are printed as they stand by kubectl explain")]

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::quantity::{Amount, DurationText};
use crate::schema;

/// Limits of one appliance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Quotas {
    /// Longest test granted, 1s to 300s; 60s when nobody sets it. A longer request is shortened to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration::test")]
    pub max_test_duration: Option<DurationText>,
    /// Sessions at one time, 1 to 64; 1 when nobody sets it. On a Reflector the sum over all its peers, on a peer its
    /// own; both hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_concurrent_tests: Option<i64>,
    /// Tests of one peer in any 3600 seconds, 1 to 10000; 10 when nobody sets it. The two directions of one speed test
    /// count once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub tests_per_hour: Option<i64>,
    /// Bytes of one peer in a UTC day, both directions together, such as 5G or 500Mi. A running test is cut when they
    /// are used up. When nobody sets it: 5G where the line may be metered, unlimited on a LAN.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::amount::bytes")]
    pub bytes_per_day: Option<Amount>,
    /// Pause between two tests of one peer, 0s to 24h; 5s when nobody sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration::cooldown")]
    pub cooldown: Option<DurationText>,
    /// Which tests may run, such as [Throughput, UdpEcho]; both when nobody sets it. To allow none, set suspend.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "allowed_tests")]
    pub allowed_tests: Option<Vec<TestType>>,
    /// Most parallel streams of a throughput test, 1 to 128; 8 when nobody sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 128))]
    pub max_streams: Option<i64>,
    /// Most echo packets a second, 1 to 100000; 10000 when nobody sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_echo_pps: Option<i64>,
    /// Bits per second a test may move, such as 500M; at least 12k. We pace when sending and end a sender that exceeds
    /// it. Without it there is no cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::amount::rate")]
    pub max_rate: Option<Amount>,
}

/// A kind of test. A name of a newer release survives reading and is refused by validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TestType {
    /// TCP or UDP throughput.
    Throughput,
    /// Round-trip times, jitter and loss of small UDP packets.
    UdpEcho,
    /// Something this release does not know.
    #[serde(untagged)]
    Unknown(String),
}

impl JsonSchema for TestType {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TestType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::choice(&["Throughput", "UdpEcho"])
    }
}

fn allowed_tests(generator: &mut SchemaGenerator) -> Schema {
    let item = TestType::json_schema(generator);
    json_schema!({
        "type": "array",
        "items": item,
        "minItems": 1,
        "maxItems": 2,
        "x-kubernetes-list-type": "set",
    })
}
