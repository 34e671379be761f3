//! Who may do what.
pub mod policy;
pub mod windows;
