//! What a responder is given to work with.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::echo::accept::Terms;
use crate::engine::echo::calm::Calm;
use crate::engine::echo::drops::Drops;
use crate::engine::echo::lobby::Lobby;
use crate::engine::echo::tunnelled::Tunnelled;
use crate::engine::purse::Purse;

/// Where the requests come from.
pub enum Intake {
    /// A data port: an unconnected socket, as [`open`](crate::engine::echo::socket::open) makes it.
    Port(UdpSocket),
    /// The control port: datagrams wait in a lobby until there is a socket of their own.
    Lobby(Box<dyn Lobby>),
    /// A tunnel; requests count as the peer's, from this address.
    Tunnel(Box<Tunnelled>, SocketAddr),
}

/// When a session ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// A session that is echo alone.
    Alone {
        /// Without an accepted request in this time it never starts.
        start_within: Duration,
        /// It runs this long from the first one.
        runs_for: Duration,
    },
    /// Beside something else, which stops it.
    Beside,
}

/// What a responder needs.
pub struct Setup {
    /// Whom it answers.
    pub terms: Terms,
    /// Where requests come from.
    pub intake: Intake,
    /// Who counts the bytes.
    pub purse: Arc<dyn Purse>,
    /// Whether it may spin.
    pub calm: Calm,
    /// When it ends by itself.
    pub schedule: Schedule,
    /// Where it counts what gets no answer.
    pub drops: Arc<Drops>,
}
