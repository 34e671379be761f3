//! The bed: a real Kubernetes on this machine, for scenarios and for daily work.
//!
//! In: built programs and the number of nodes. Out: a control plane in the root namespaces and nodes in namespaces of
//! their own, which outlive the command that started them, and [`Bed`], by which scenarios reach them. Everything of a
//! bed is in one folder, one cgroup and carries one name; it sends nothing to anybody else and leaves nothing behind.
//!
//! One file per component says how it is started and when it is ready; none of them runs anything.

mod apart;
mod apiserver;
mod argocd;
mod audit;
mod cgroups;
mod check;
pub mod cli;
mod cluster;
mod component;
mod containerd;
mod controllers;
mod deliver;
mod disk;
mod harm;
mod hierarchies;
mod images;
mod interrupt;
mod kine;
mod kube_proxy;
mod kubelet;
mod kwok;
mod layout;
mod local_path;
mod lock;
mod member;
mod memory;
mod mend;
mod network;
mod pki;
mod process;
mod programs;
mod ready;
mod running;
mod scheduler;
mod starter;
mod state;
mod status;
mod sweep;
mod traces;
mod up;

pub use self::apart::Apart;
pub use self::argocd::{GitHost, NAMESPACE as ARGOCD_NAMESPACE};
pub use self::harm::Still;
pub use self::kwok::{ANNOTATION as KWOK_ANNOTATION, CLASS as KWOK_CLASS};
pub use self::layout::{Host, Layout, Member};
pub use self::process::Process;
pub use self::programs::{BUSYBOX, PAUSE, Programs};
pub use self::running::{Bed, folder};
pub use self::state::{Started, State};
pub use self::up::{Plan, down, up};
