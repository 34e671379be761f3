//! Stories on a real Kubernetes. They need a bed (`cargo bed up`) and are skipped without one; `cargo verify` starts one.
//!
//! Here are those that prove the bed itself.

mod api_server;
mod argocd;
mod cables;
mod clocks;
mod crashes;
mod disks;
mod failing;
mod helm;
mod host_network;
mod images;
mod nodes;
mod services;
mod sources;
mod storage;
