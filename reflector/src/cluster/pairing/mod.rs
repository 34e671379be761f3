//! The way in for an appliance no policy knows, in a cluster: the code of a `ReflectorPeer` that waits.
//!
//! In: codes that appliances present, and what the API server says of the peers. Out: a claim in our entry of the peer
//! whose code it was, signed with the code's key, and an answer once the operator has bound it. [`matching`] decides
//! which peer it is and what became of a claim; `hashing` is the one hash at a time; `codes` ties them together. The
//! code itself is nowhere in the cluster but in its Secret, which a pod cannot read.

mod codes;
mod hashing;
pub mod matching;
#[cfg(test)]
mod tests;

pub use codes::{Codes, Presented};
