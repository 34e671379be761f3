//! The controllers that make the objects of `packetparamedic.io` true in a cluster, and the kubectl plugin for people.
//!
//! In: objects, as watches tell of them. Out: child objects, status and events, written through `writing` only. Each
//! controller is a driver file that reads like its pipeline and a folder of steps; what decides takes neither client
//! nor clock.

#![forbid(unsafe_code)]

mod admin;
mod backoff;
pub mod cli;
mod clock;
mod conditions;
mod driver;
mod fleets;
mod kinds;
mod lease;
mod metrics;
mod other_release;
mod peers;
pub mod plugin;
mod reflectors;
mod run;
mod settings;
mod shared;
mod watches;
mod writing;
