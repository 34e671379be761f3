//! pp-link/1, sans-IO: bytes in, messages out, and back. Used by server and client alike.
//!
//! In come bytes of a stranger; out go payloads, messages, Endpoint IDs and typed refusals. Nothing in here knows
//! tokio, sockets or policy, so fuzzing hits the code that runs. Who may do what is decided elsewhere, by Endpoint ID.

pub mod cert;
pub mod decode;
pub mod encode;
pub mod features;
pub mod frame;
pub mod message;
pub mod reply;
pub mod tls;

pub use decode::{DecodeError, DecodeErrorKind, decode};
pub use encode::{EncodeError, encode};
pub use frame::{FrameDecoder, FrameError, encode_frame};
