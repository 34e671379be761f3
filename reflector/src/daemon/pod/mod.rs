//! What makes a reflector one of a cluster, as far as the daemon wires it.
//!
//! In: the rooms of the process. Out: facts for `cluster::status`, and the hints when to look at them.

mod cuts;

pub(super) use cuts::Cuts;
