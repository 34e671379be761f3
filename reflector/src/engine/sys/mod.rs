//! Thin wrappers around system calls that no safe crate of ours offers, and the only place with unsafe code.
//!
//! In: borrowed sockets, buffers, numbers. Out: what the kernel said, as plain values and `io::Error`. Nothing here
//! decides, retries or keeps state; what rustix and socket2 already wrap safely is called there, not here.
#![expect(unsafe_code, reason = "each function wraps one system call and says why it is sound")]

mod constant;
mod datagrams;
mod host;
mod options;
mod thread;

pub use constant::ConstantPages;
pub use datagrams::{Batch, Received};
pub use host::{
    InterfaceAddress, KernelClock, clock_is_synchronised, interface_addresses, kernel_clock,
    release_free_memory,
};
pub use options::{
    Stamps, clamp_window, discard, dropped_datagrams, enable_gro, enable_receive_stamps, limit_pacing_rate,
    segment_datagrams, tcp_info,
};
pub use thread::{this_thread_cpu, thread_cpu};
