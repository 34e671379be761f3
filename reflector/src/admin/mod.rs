//! The admin socket: how the commands of this program reach the running server. Owner only; one JSON line each way.

pub mod client;
pub mod protocol;
