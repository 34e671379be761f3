//! The Kubernetes side of a reflector that runs in a pod.
//!
//! `status` tells the cluster how the reflector and each of its peers stand.

pub mod status;
