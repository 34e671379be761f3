//! The admin socket.
pub mod protocol;
