//! Conditions and the reasons they can have, and why a reflector denies: closed vocabularies that people and tools may
//! rely on.
//!
//! Each reason has one line that explains it and one that says what to do, for messages, the reference and
//! `kubectl reflector why`. Names never change their meaning; new ones may come.

mod code;
mod condition;
mod denial;
mod deny;
mod fleet;
mod peer;
mod reflector;
mod refuse;
mod table;
mod words;

pub use code::CodeReason;
pub use condition::ConditionType;
pub use denial::{Denial, DenialReason};
pub use deny::DenyReason;
pub use fleet::FleetReason;
pub use peer::PeerReason;
pub use reflector::ReflectorReason;
pub use refuse::RefuseReason;
pub use words::{MAX_MESSAGE, cut, message};

use table::reasons;
