//! Ports and addresses, and the CEL text of what stands in `reflector::ports`.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::reflector::ports::{DEFAULT_HEALTH_PORT, DEFAULT_PORT, MAX_DATA_PORTS, TAKEN, listed};

use super::rule;

/// One port.
pub(crate) fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 65_535 })
}

/// Host names or addresses.
pub(crate) fn advertise(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "set",
        "items": {
            "description": "A host name or an IP address, without a port.",
            "type": "string",
            "maxLength": 253,
            "x-kubernetes-validations": rule::rules(&[(
                "isIP(self) || self.matches('^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$') && !self.matches('^[0-9.]*$')",
                "is neither a host name nor an IP address: write one such as reflector.example.net, 192.0.2.10 or 2001:db8::10, without a port",
            )]),
        },
    })
}

/// What holds between the fields of `spec.network`. They stand on the parent, so that removing a field dodges nothing.
pub(crate) fn network_rules() -> Value {
    let port = format!("(has(self.port) ? self.port : {DEFAULT_PORT})");
    let health = format!("(has(self.healthPort) ? self.healthPort : {DEFAULT_HEALTH_PORT})");
    let ranges: Vec<String> =
        TAKEN.iter().map(|taken| format!("[{}, {}]", taken.ports.start(), taken.ports.end())).collect();
    let ranges = format!("[{}]", ranges.join(", "));
    let free = |port: &str| format!("{ranges}.all(r, {port} < r[0] || {port} > r[1])");
    let outside = |port: &str, name: &str| {
        (
            format!("!has(self.dataPorts) || {port} < self.dataPorts.start || {port} > self.dataPorts.end"),
            format!("dataPorts contains {name}: move {name} or the range"),
        )
    };
    let taken = |name: &str| {
        format!("{name} is one that Kubernetes or k3s uses ({}): write another, such as 4000", listed())
    };
    rule::rules(&[
        (
            "!has(self.dataPorts) || self.dataPorts.start <= self.dataPorts.end".to_owned(),
            "dataPorts.start is above dataPorts.end: write the lower port first".to_owned(),
        ),
        (
            format!("!has(self.dataPorts) || self.dataPorts.end - self.dataPorts.start < {MAX_DATA_PORTS}"),
            format!(
                "dataPorts has more than {MAX_DATA_PORTS} ports: write a shorter range, such as 5201 to 5210"
            ),
        ),
        outside(&port, "port"),
        outside(&health, "healthPort"),
        (format!("{port} != {health}"), "port and healthPort are the same: move one of them".to_owned()),
        (free(&port), taken("port")),
        (free(&health), taken("healthPort").replace("4000", "7301")),
        (
            format!(
                "!has(self.dataPorts) || {ranges}.all(r, self.dataPorts.end < r[0] || self.dataPorts.start > r[1])"
            ),
            taken("a port of dataPorts").replace("4000", "5201 to 5210"),
        ),
        (
            "!has(self.mode) || self.mode != 'Tunneled' || !has(self.dataPorts)".to_owned(),
            "mode Tunneled uses no data ports: remove dataPorts, or write mode: Auto".to_owned(),
        ),
        (
            "!has(self.mode) || self.mode != 'Direct' || has(self.dataPorts)".to_owned(),
            "mode Direct needs dataPorts: add start and end, such as 5201 and 5210, or write mode: Auto"
                .to_owned(),
        ),
    ])
}
