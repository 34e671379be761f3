//! Where the data of a session flows (pure): out of the configuration and what the peer can do and asked for.
//!
//! Plain data takes a data port when there are some, else the control port when that is allowed. A peer that negotiated
//! `tunnel` may name either way; one that did not has plain data or nothing. What is tested makes no difference:
//! throughput and echo go both ways.

use crate::config::{Network, NetworkMode};
use crate::engine::Placement;
use crate::link::features::{Feature, Features};
use crate::link::message::Mode;

use super::denial::Denied;

/// The ways into this reflector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routes {
    /// `network.mode`
    pub mode: NetworkMode,
    /// Data ports are configured.
    pub data_ports: bool,
    /// `network.plain_on_control_port`
    pub plain_on_control_port: bool,
}

impl Routes {
    /// As configured.
    pub fn of(network: &Network) -> Self {
        Self {
            mode: network.mode,
            data_ports: network.data_ports.is_some(),
            plain_on_control_port: network.plain_on_control_port,
        }
    }

    /// Where data without a tunnel goes, if anywhere.
    pub fn plain(self) -> Option<Placement> {
        // A range is ignored in tunneled mode: its owner was warned at start.
        let data_port = self.data_ports && self.mode != NetworkMode::Tunneled;
        match (self.mode, data_port, self.plain_on_control_port) {
            (_, true, _) => Some(Placement::DataPort),
            (NetworkMode::DirectEphemeral, false, _) | (_, _, false) => None,
            (_, _, true) => Some(Placement::ControlPort),
        }
    }
}

/// Decides for one request. `asked` is `params.mode`.
pub(super) fn place(asked: Option<Mode>, features: Features, routes: Routes) -> Result<Placement, Denied> {
    let plain = routes.plain();
    let tunnel = features.has(Feature::Tunnel);
    match (asked, tunnel) {
        (Some(Mode::Tunneled), true) => Ok(Placement::Tunneled),
        (Some(Mode::Tunneled), false) => Err(Denied::invalid(
            "mode tunneled needs the feature tunnel, which this connection did not negotiate",
        )),
        (Some(Mode::DirectEphemeral), true) => plain.ok_or_else(|| closed("ask for mode tunneled")),
        (None, true) if routes.mode == NetworkMode::Tunneled => Ok(Placement::Tunneled),
        (None, true) => Ok(plain.unwrap_or(Placement::Tunneled)),
        (_, false) => plain.ok_or_else(|| closed("use a client with the feature tunnel")),
    }
}

fn closed(instead: &str) -> Denied {
    Denied::invalid(format!(
        "this reflector takes no data without a tunnel: {instead}, or have its owner set network.plain_on_control_port, \
         or open data ports (network.data_port_range_start and _end, TCP and UDP)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::DenyReason;

    const TUNNEL: Features = Features::of(&[Feature::Tunnel]);
    const DIRECT: Option<Mode> = Some(Mode::DirectEphemeral);

    /// Each row: configuration, then without a tunnel, then with one and no mode, `direct_ephemeral`, `tunneled`.
    #[test]
    fn data_flows_where_configuration_and_peer_agree() {
        use NetworkMode::{Auto, DirectEphemeral, Tunneled};
        use Placement::{ControlPort, DataPort};
        let inside = Some(Placement::Tunneled);
        for (mode, data_ports, plain_on_control_port, stock, silent, direct) in [
            (Auto, false, true, Some(ControlPort), Some(ControlPort), Some(ControlPort)),
            (Auto, false, false, None, inside, None),
            (Auto, true, true, Some(DataPort), Some(DataPort), Some(DataPort)),
            (Auto, true, false, Some(DataPort), Some(DataPort), Some(DataPort)),
            (Tunneled, false, true, Some(ControlPort), inside, Some(ControlPort)),
            (Tunneled, true, true, Some(ControlPort), inside, Some(ControlPort)),
            (Tunneled, true, false, None, inside, None),
            (DirectEphemeral, true, true, Some(DataPort), Some(DataPort), Some(DataPort)),
            (DirectEphemeral, true, false, Some(DataPort), Some(DataPort), Some(DataPort)),
            (DirectEphemeral, false, true, None, inside, None),
        ] {
            let routes = Routes { mode, data_ports, plain_on_control_port };
            let placed = |asked, features| place(asked, features, routes).ok();
            assert_eq!(placed(None, Features::NONE), stock, "{routes:?}");
            assert_eq!(placed(DIRECT, Features::NONE), stock, "{routes:?}");
            assert_eq!(placed(None, TUNNEL), silent, "{routes:?}");
            assert_eq!(placed(DIRECT, TUNNEL), direct, "{routes:?}");
            assert_eq!(placed(Some(Mode::Tunneled), TUNNEL), inside, "{routes:?}");
            assert_eq!(placed(Some(Mode::Tunneled), Features::NONE), None, "{routes:?}");
        }
    }

    #[test]
    fn a_closed_way_says_what_to_open() {
        let routes = Routes { mode: NetworkMode::Auto, data_ports: false, plain_on_control_port: false };
        let denied = place(None, Features::NONE, routes).unwrap_err();
        assert_eq!((denied.reason, denied.retry_after_sec), (DenyReason::InvalidParams, None));
        for key in ["plain_on_control_port", "data_port_range_start", "feature tunnel"] {
            assert!(denied.message.contains(key), "{}", denied.message);
        }
    }
}
