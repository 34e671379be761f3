//! Stories on a real Kubernetes. They need a bed (`cargo bed up`) and are skipped without one; `cargo verify` starts one.
//!
//! Here are those that prove the bed itself.

mod api_server;
mod argocd;
mod helm;
mod host_network;
mod nodes;
mod services;
mod sources;
mod storage;
