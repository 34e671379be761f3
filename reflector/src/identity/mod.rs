//! Skeleton: filled by the room's owner.
