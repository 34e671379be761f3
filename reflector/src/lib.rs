//! The reflector: an endpoint PacketParamedic appliances measure their network against.
//!
//! Rooms and the way data takes through them are drawn in docs/architecture.md. `main.rs` is three lines; the CLI
//! in [`cli`] is the front door.

pub mod access;
pub mod admin;
mod atomic;
pub mod audit;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod health;
pub mod identity;
pub mod ledger;
pub mod link;
pub mod metrics;
pub mod network;
pub mod reason;
mod said;
pub mod selfconnect;
pub mod selftest;
pub mod server;
pub mod session;
