//! `ReflectorPeer`: one appliance and what it may do. (Skeleton.)

/// Skeleton.
#[derive(Debug)]
pub struct ReflectorPeer {}
/// Skeleton.
#[derive(Debug)]
pub struct ReflectorPeerSpec {}
