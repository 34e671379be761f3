//! Who of several operators writes: one Lease, held by one of them.
//!
//! In: what the API server says about the Lease, and the time. Out: [`Standing`], which says until when this process
//! may write. `election.rs` decides and takes every time from outside; `keeper.rs` reads and writes the Lease. Writing
//! stops on our own clock before anybody else may take over, whether or not the API server can be reached then.

mod election;
mod keeper;
mod standing;
#[cfg(test)]
mod tests;

pub(crate) use keeper::{Keeper, Place};
pub(crate) use standing::Standing;
