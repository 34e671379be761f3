//! The Kubernetes side of a reflector that runs as a pod: who it is there, and how it asks the API server.
//!
//! In: `[access]` of the configuration and what the kubelet says about the pod. Out: an [`Own`], which names our
//! objects, and a client whose answers always come within a deadline or are watched by whoever waits for them. What is
//! read becomes policy in `access`; nothing here decides about a peer.

mod client;
mod own;

pub use client::{Error, connect};
pub use own::{Fleet, Own, Pod};
