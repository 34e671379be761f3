//! Who may do what.
//!
//! In: `ReflectorPeer` objects from a feeder (a directory of manifests, or the API server), the reflector's own policy,
//! the clock. Out: one verdict per Endpoint ID, on a watch channel that is sent to only when the verdict
//! changed. [`index`] decides, [`handle`] carries its answers, [`directory`] or [`cluster`] feeds it, [`edit`] writes the manifests it
//! reads, [`pairing`] guards the way in for unknown appliances. Nothing here grants by error: what is unknown,
//! unreadable or stale is refused with the reason.

pub mod cluster;
pub mod directory;
pub mod edit;
pub mod effective;
pub mod handle;
pub mod index;
pub mod manifest;
pub mod object;
pub mod pairing;
pub mod policy;
pub mod report;
pub mod source;
pub mod windows;

pub use effective::{ReflectorPolicy, configured_name};
pub use handle::{Access, Clock, Settings, Standing};
pub use object::{Broken, Key, Object};
pub use policy::{Policy, Quotas, Refusal, Verdict};
pub use report::{Counts, KnownPeer, PeerState};

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
