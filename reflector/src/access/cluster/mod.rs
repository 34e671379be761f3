//! Feeds the index from the API server: our own Reflector, the peers that name it, and those that name our fleet.
//!
//! In: lists and watches, each narrowed by a field selector, so no pod sees the peers of another. Out: loads and changes of
//! the index, the news that the API server is away, and the last accepted policy on disk beside the key. `watch` asks and
//! `wire` reads what comes back; [`Held`] decides what it means; `kept` and `store` keep it over a restart; one task,
//! [`Cluster::run`], owns them all. Nothing here guesses: an object that cannot be read is denied by name.

#[cfg(test)]
pub(crate) mod fed;
mod feeder;
mod held;
mod keeper;
mod kept;
mod lines;
mod objects;
mod own;
mod pace;
mod store;
#[cfg(test)]
mod tests;
mod watch;
mod wire;

pub use feeder::{Cluster, Handle, Settings};
pub use held::Held;
pub use objects::{HeldPeer, HeldReflector};
