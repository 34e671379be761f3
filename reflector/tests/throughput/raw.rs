//! Peers that misbehave.
