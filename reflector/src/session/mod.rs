//! Sessions: who gets a test, while it runs and until its end is on record.
//!
//! In: a request of an authorised peer. Out: a grant whose listener is up and whose record is on disk, or a denial
//! that says why and when to come back; later exactly one [`SessionRecord`]. [`admission`] decides on plain values;
//! [`Sessions`] reserves under one short lock, so parallel requests never exceed a cap; guards make it impossible to
//! admit without reporting the end. Nothing here knows the wire or what an engine does with its bytes.

mod active;
pub mod admission;
mod control;
mod denial;
mod limited;
mod meter;
mod observer;
mod place;
mod placement;
mod rehearsal;
mod request;
mod requester;
mod rest;
mod sessions;
mod table;
mod task;
mod ticket;

pub use control::SessionControl;
pub use denial::Denied;
pub use meter::{Meter, Reserve, SessionLease};
pub use observer::{Denial, Observer, SessionRecord};
pub use placement::Routes;
pub use requester::{ConnectionId, Peer, Requester};
pub use rest::Rest;
pub use sessions::{ActiveSession, Ending, Granted, NotYours, Parts, Sessions, Windows};
pub use ticket::Ticket;

#[cfg(test)]
mod tests;
