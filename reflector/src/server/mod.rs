//! Skeleton.
pub mod limits;
pub mod places;
