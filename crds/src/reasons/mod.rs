//! Conditions and the reasons they can have: a closed vocabulary that people and tools may rely on.
//!
//! Each reason has one line that explains it and one that says what to do, for messages, the reference and
//! `kubectl reflector why`. Names never change their meaning; new ones may come.

mod condition;
mod fleet;
mod peer;
mod reflector;
mod table;
mod words;

pub use condition::ConditionType;
pub use fleet::FleetReason;
pub use peer::PeerReason;
pub use reflector::ReflectorReason;
pub use words::{MAX_MESSAGE, cut, message};

use table::reasons;
