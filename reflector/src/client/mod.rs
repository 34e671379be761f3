//! The measuring side: connects to a reflector, asks for sessions and moves their bytes.
//!
//! In: an address with the reflector's Endpoint ID, our own identity, and what to measure. Out: typed results, or errors
//! that say what to do next. `target`, `key` and `plan` decide; `link`, `wire` and `run` do the IO. Nothing here prints or
//! reads configuration: the command line does.

pub mod assemble;
mod dial;
mod echo;
pub mod error;
pub mod forward;
pub mod key;
pub mod link;
pub mod pairing;
pub mod plan;
pub mod report;
pub mod result;
pub mod run;
mod session;
pub mod target;
mod tax;
pub mod throughput;
pub mod tunnel;
mod wire;

pub use error::LinkError;
pub use link::Link;
pub use target::{Address, Target};
