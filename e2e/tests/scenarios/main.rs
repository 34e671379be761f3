//! Stories on a real Kubernetes. They need a bed (`cargo bed up`) and are skipped without one; `cargo verify` starts one.
//!
//! Here are those that prove the bed itself.

mod api_server;
mod host_network;
mod nodes;
mod operator;
mod services;
mod storage;
