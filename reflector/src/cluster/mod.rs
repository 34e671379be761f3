//! The Kubernetes side of a reflector that runs as a pod: who it is there, how it asks the API server, and what it tells it.
//!
//! In: `[access]` of the configuration, what the kubelet says about the pod, and what the daemon knows of its peers. Out:
//! an [`Own`], which names our objects, a client whose answers always come within a deadline or are watched by whoever
//! waits for them, [`status`], and the [`pairing`] of
//! appliances with peers that wait for them. What is read becomes policy in `access`; nothing here decides about a peer.

mod client;
mod own;
pub mod pairing;
pub mod status;

pub use client::{Error, connect};
pub use own::{Fleet, Own, Pod};
