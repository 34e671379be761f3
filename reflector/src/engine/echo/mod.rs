//! UDP echo: how long a datagram takes there and back, and in which direction datagrams get lost.
//!
//! In: datagrams on a port that a grant names, or on the control port, or out of a tunnel. Out: exactly one answer, as
//! long as the request, to the granted peer and nobody else; or nothing, and a count of why. [`wire`], [`window`],
//! [`bucket`], [`accept`], [`tally`] and [`histogram`] decide and take the time as a value; the rest moves datagrams.

pub mod accept;
mod bell;
mod beside;
pub mod bucket;
pub mod calm;
pub mod drops;
mod engine;
mod exchange;
pub mod histogram;
pub mod lobby;
mod moment;
mod outbox;
pub mod probe;
pub mod responder;
pub mod socket;
pub mod tally;
mod tunnelled;
pub mod window;
pub mod wire;

pub use beside::{Beside, Connect};
pub use engine::{EchoEngine, START_WITHIN, terms};
pub use tunnelled::Tunnelled;
