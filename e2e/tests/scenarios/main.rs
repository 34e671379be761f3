//! Stories on a real Kubernetes. They need a bed (`cargo bed up`) and are skipped without one; `cargo verify` starts one.
//!
//! Here are those that prove the bed itself, and `crds` for the kinds of objects.

mod api_server;
mod argocd;
mod cables;
mod chart;
mod clocks;
mod crashes;
mod crds;
mod deploy;
mod disks;
mod failing;
mod gitops;
mod helm;
mod host_network;
mod images;
mod nodes;
mod operator;
mod services;
mod sources;
mod storage;
