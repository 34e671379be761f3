//! The ledger: what each peer has used, kept across crashes, and how much it may still use.
//!
//! In: bytes as they move, grants, ends, and the time. Out: leases on what is left of a peer's day, usage for
//! admission and status, and a promise: a grant is on disk before it is sent, and bytes at most one flush interval
//! later. [`quota`] and [`time`] decide and read no clock; `store` and `writer` touch the disk and decide
//! nothing. The ledger never guesses: a file it cannot read is an error, not an empty ledger.

mod account;
mod error;
mod handle;
pub mod quota;
mod store;
pub mod time;
mod writer;

pub use account::{Account, Lease, Usage};
pub use error::Error;
pub use handle::{Clock, Ledger, OnCommit};
pub use time::{LedgerTime, Moment};
pub use writer::Health;

#[cfg(test)]
pub(crate) mod tests;
