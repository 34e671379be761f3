//! The admin socket: how the CLI talks to the running server.
//!
//! In: one request a connection, from whoever may open a 0600 socket. Out: one answer. Decides nothing: the daemon
//! hands in a [`server::Handler`].

pub mod client;
pub mod protocol;
pub mod server;
