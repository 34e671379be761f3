//! The test bed's library: an independent client of the reflector, and a helper that runs the reflector as a child.
//!
//! Nothing here links the product. What these modules know of the wire they know from the protocol's description, so
//! that a bug in the product's own codec cannot hide behind the same bug in its tests.

pub mod appliance;
pub mod bed;
pub mod confine;
pub mod image;
pub mod machine;
pub mod measuring;
pub mod parts;
pub mod proc;
pub mod scenario;
pub mod skipping;
pub mod vitals;
