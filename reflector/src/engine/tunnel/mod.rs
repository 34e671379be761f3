//! Tunneled data, `pp-data/1`: one TLS connection on the control port per stream of a test.
//!
//! In: a TCP connection whose `ClientHello` asks for `pp-data/1`, on the server; an address and a grant, on the client.
//! Out: a stream that an engine cannot tell from one it accepted on a port, or a typed refusal. This room proves that
//! a connection belongs to a session; it knows nothing of what flows, and counts payload but grants none.

mod buffers;
pub mod hello;
mod proof;
mod step;
pub mod tls;

pub use proof::Proof;
