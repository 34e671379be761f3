//! Ports and addresses.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::check::Check;
use crate::problem::shortened;

use super::super::network::{DataPorts, NetworkMode, NetworkSpec};
use super::super::ports::{DEFAULT_HEALTH_PORT, DEFAULT_PORT, MAX_DATA_PORTS, taken_by};
use super::super::valid::ValidNetwork;

/// Longest label of a host name.
const MAX_LABEL: usize = 63;

impl Check {
    pub(super) fn network(&mut self, at: &str, network: &NetworkSpec) -> ValidNetwork {
        let port = network.port.unwrap_or(DEFAULT_PORT);
        let health_port = network.health_port.unwrap_or(DEFAULT_HEALTH_PORT);
        let mode = network.mode.clone().unwrap_or(NetworkMode::Auto);
        self.free(&format!("{at}.port"), &(port..=port), "4000");
        self.free(&format!("{at}.healthPort"), &(health_port..=health_port), "7301");
        if port == health_port {
            self.problem(at, format!("has {port} as port and as healthPort: move one of them"));
        }
        let range =
            network.data_ports.as_ref().and_then(|ports| self.data_ports(at, ports, port, health_port));
        match (&mode, &network.data_ports) {
            (NetworkMode::Tunneled, Some(_)) => self.problem(
                &format!("{at}.dataPorts"),
                "cannot be given with mode Tunneled, which uses no data ports: remove dataPorts, or write mode: Auto",
            ),
            (NetworkMode::Direct, None) => self.problem(
                &format!("{at}.dataPorts"),
                "is missing, and mode Direct needs dataPorts: add start and end, such as 5201 and 5210, or write mode: Auto",
            ),
            _ => {}
        }
        for (index, host) in network.advertise.iter().enumerate() {
            if host.parse::<IpAddr>().is_err() && !is_host_name(host) {
                let rule =
                    "write one such as reflector.example.net, 192.0.2.10 or 2001:db8::10, without a port";
                self.problem(
                    &format!("{at}.advertise[{index}]"),
                    format!("{:?} is neither a host name nor an IP address: {rule}", shortened(host)),
                );
            }
        }
        ValidNetwork {
            mode,
            port,
            data_ports: range,
            plain_on_control_port: network.plain_on_control_port.unwrap_or(true),
            health_port,
            host_network: network.host_network.unwrap_or(true),
            advertise: network.advertise.clone(),
        }
    }

    fn data_ports(
        &mut self,
        at: &str,
        ports: &DataPorts,
        port: i32,
        health_port: i32,
    ) -> Option<RangeInclusive<i32>> {
        let path = format!("{at}.dataPorts");
        let (start, end) = (ports.start, ports.end);
        if start > end {
            self.problem(&path, format!("start {start} is above end {end}: write the lower port first"));
            return None;
        }
        let range = start..=end;
        if i64::from(end) - i64::from(start) >= i64::from(MAX_DATA_PORTS) {
            let rule = "write a shorter range, such as 5201 to 5210";
            self.problem(&path, format!("has more than {MAX_DATA_PORTS} ports: {rule}"));
        }
        for (name, port) in [("port", port), ("healthPort", health_port)] {
            if range.contains(&port) {
                self.problem(&path, format!("contains {name} {port}: move {name} or the range"));
            }
        }
        self.free(&path, &range, "5201 to 5210");
        Some(range)
    }

    fn free(&mut self, path: &str, ports: &RangeInclusive<i32>, example: &str) {
        if let Some(taken) = taken_by(ports) {
            let (first, last) = (taken.ports.start(), taken.ports.end());
            let which = if first == last { first.to_string() } else { format!("{first} to {last}") };
            self.problem(
                path,
                format!(
                    "is one that Kubernetes or k3s uses ({which}: {}): write another, such as {example}",
                    taken.by
                ),
            );
        }
    }
}

/// A host name: labels with dots between them, and not only digits, which would be half an address.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.split('.').all(label) && !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}
