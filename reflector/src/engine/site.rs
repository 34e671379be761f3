//! Where engines may put their listeners: made once the control port is bound, shared by every engine.

use super::door::Doors;
use super::tunnel::Tunnels;

/// The ports of this process that data may use.
#[derive(Debug, Clone)]
pub struct Site {
    /// The port control connections arrive on, TCP and UDP: what a grant for `ControlPort` and `Tunneled` names.
    pub control_port: u16,
    /// First and last port of the configured range; none: an engine that is asked for a data port takes any free one.
    pub data_ports: Option<(u16, u16)>,
    /// Where plain data on the control port finds its session.
    pub doors: Doors,
    /// Where tunneled streams find theirs.
    pub tunnels: Tunnels,
}
