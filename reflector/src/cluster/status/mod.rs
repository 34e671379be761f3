//! What the pod tells the cluster: its part of the Reflector's status, and its own entry in each peer's.
//!
//! In: hints that something happened, and [`Facts`] to look it up. Out: server-side applies of the manager
//! `rfl-NAME`, always the full set of the fields it owns. [`schedule`] decides what is written when, [`urgency`] what
//! is worth a write, [`own`] and [`peer`] what is said, all without a clock; [`sender`] and [`task`] do it. Nothing is
//! written before the policy is loaded, and nothing because time passed.

pub mod backoff;
pub mod condition;
pub mod hardware;
pub mod hints;
pub mod own;
pub mod pace;
pub mod patch;
pub mod peer;
pub mod schedule;
pub mod sender;
pub mod standing;
pub mod subject;
pub mod task;
#[cfg(test)]
mod tests;
pub mod trouble;
pub mod urgency;
pub mod witness;

pub use condition::Said;
pub use hardware::Hardware;
pub use hints::{Hint, Hints};
pub use own::{OwnFacts, OwnReport};
pub use peer::{PeerReport, Reach};
pub use schedule::{MOST_SUBJECTS, Schedule};
pub use sender::{Sender, Target};
pub use subject::{Report, Subject};
pub use task::{Facts, Seen};
pub use trouble::Trouble;
pub use witness::{Happened, Witness};
