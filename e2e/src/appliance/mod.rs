//! The test appliance: a client that behaves as the appliances in the field do, and misbehaves on request.
//!
//! It shares no code with the product: Endpoint ID, frames, certificate, TLS settings and messages are written anew from
//! the facts of the protocol. In: a [`Key`], the address of a reflector, knobs. Out: the answers, or a typed
//! error that tells a refusal from a closed socket from a deadline. It decides nothing about what a reflector should do.
//!
//! What it copies from the field: no ALPN, SNI `reflector`, signatures `ED25519` and `RSA_PSS_SHA256` only, any
//! server certificate, a 69-character CN and a 75-character SAN label, request ids `init-0`, `req-1`, `req-2` …, answers
//! to other questions skipped, and the end of the conversation at an unknown `type` or enum value.
//!
//! One difference: appliances offer TLS 1.2 and 1.3, this one only 1.3. The feature `tls12` of rustls would reach the
//! product's own build through the workspace's feature unification, and the product must not contain TLS 1.2. A 1.2-only
//! client is [`raw::tls12_client_hello`]. Offering both ends in 1.3 with a server that speaks 1.3.
//!
//! ```no_run
//! # async fn example(addr: std::net::SocketAddr) -> Result<(), e2e::appliance::Error> {
//! use e2e::appliance::{Appliance, Key, Test};
//!
//! let (mut link, _server_hello) = Appliance::builder(Key::generate()).open(addr).await?;
//! let grant = link.request(&Test::throughput(10)).await?.granted()?;
//! println!("data goes to {}", grant.data_addr());
//! # Ok(())
//! # }
//! ```

mod answer;
mod certificate;
mod connect;
mod connection;
pub mod data;
mod ending;
mod error;
pub mod frame;
mod key;
pub mod raw;
mod request;
mod speed_test;
mod strict;
mod tls;

pub use answer::{Answer, Denial, Grant};
pub use certificate::{Names, endpoint_id_of_certificate};
pub use connect::{Appliance, ConnectError};
pub use connection::{Closed, Connection};
pub use ending::Ending;
pub use error::Error;
pub use key::{Key, endpoint_id};
pub use request::{Test, envelope};
pub use speed_test::{Direction, SpeedTest};
pub use strict::Abort;

#[cfg(test)]
mod tests;

/// How long any single wait lasts before it becomes an error. Generous: a loaded machine must not fail a test.
pub const WAIT: std::time::Duration = std::time::Duration::from_secs(10);
