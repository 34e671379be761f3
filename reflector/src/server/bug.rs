//! A bug on request: the next frame of a connection panics. Only the test of what happens then is built with it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// Clients whose connections have it.
static STRUCK: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());

/// From now on, for the connection of this client.
pub(crate) fn strike(client: SocketAddr) {
    STRUCK.lock().unwrap_or_else(PoisonError::into_inner).push(client);
}

/// Panics if this is the one.
pub(super) fn here(client: SocketAddr) {
    let struck = STRUCK.lock().unwrap_or_else(PoisonError::into_inner).contains(&client);
    assert!(!struck, "a bug, as the test asked");
}
