//! Tunneled data, `pp-data/1`: one TLS connection on the control port per stream of a test.
//!
//! In: a TCP connection whose `ClientHello` asks for `pp-data/1`, on the server; a connection and a grant, on the
//! client. Out: a stream that an engine cannot tell from one it accepted on a port, or a typed refusal. This room proves
//! that a connection belongs to a session; it knows nothing of what flows, and counts payload but grants none.

mod accept;
mod blocking;
mod buffers;
mod carried;
mod datagrams;
mod desk;
pub mod hello;
mod keys;
mod open;
mod proof;
mod records;
mod step;
mod stream;
pub mod tls;

pub use accept::{Refused, Welcome, accept};
pub use blocking::Blocking;
pub use carried::Carried;
pub use datagrams::put_datagram;
pub use desk::{Arrived, Tunnel, Tunnels};
pub use open::{Credentials, open};
pub use proof::Proof;
pub use stream::{FIRST_FRAME, HANDSHAKE, OpenError, TunnelStream};
