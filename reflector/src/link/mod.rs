//! pp-link/1, sans-IO: bytes in, messages out, and back. Used by server and client alike.
//!
//! Nothing in here knows tokio, sockets or policy, so fuzzing hits the code that runs.

pub mod message;
