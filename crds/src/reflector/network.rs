//! Where a reflector listens and how data flows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Where it listens and how data flows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = schema::port::network_rules()))]
pub struct NetworkSpec {
    /// How data flows. Auto (the default): through dataPorts when they are given, else everything through the one port.
    /// Tunneled: never through dataPorts. Direct: needs dataPorts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<NetworkMode>,
    /// The one port appliances need, TCP and UDP; 4000 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::port::port")]
    pub port: Option<i32>,
    /// Ports for data, TCP and UDP. Left out, everything flows through the one port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_ports: Option<DataPorts>,
    /// Lets appliances that cannot tunnel run iperf3 against the one port; true when left out. false: without
    /// dataPorts only tunnelled tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain_on_control_port: Option<bool>,
    /// Port of health, readiness and metrics in plain HTTP; 7301 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::port::port")]
    pub health_port: Option<i32>,
    /// true, the default: the node's own network and ports. false: the pod network and a Service, which needs a load
    /// balancer that keeps the port; results say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_network: Option<bool>,
    /// Host names or IP addresses appliances should use, such as reflector.example.net; at most 8. Left out: the node's
    /// addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::port::advertise")]
    pub advertise: Vec<String>,
}

/// Ports for data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["start", "end"]))]
pub struct DataPorts {
    /// First port, such as 5201.
    #[schemars(schema_with = "schema::port::port")]
    pub start: i32,
    /// Last port, such as 5210.
    #[schemars(schema_with = "schema::port::port")]
    pub end: i32,
}

schema::open_enum! {
    /// How data flows.
    pub enum NetworkMode {
        /// Through data ports when there are some.
        Auto,
        /// Through the one port, encrypted.
        Tunneled,
        /// Through data ports.
        Direct,
    }
}
