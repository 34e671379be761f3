//! What a request brings along besides its parameters: the name its session will have, and the keys that its control
//! connection made for that name.

use std::sync::Arc;

use uuid::Uuid;

use crate::engine::secrets::Secrets;

/// Made by the connection for one request, because only it can ask its TLS session for keys. Used once.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub(super) test_id: Uuid,
    pub(super) secrets: Arc<Secrets>,
}

impl Ticket {
    /// A new name, with the keys that `export` gives for it.
    pub fn new<E>(export: impl Fn(&mut [u8], &[u8], Option<&[u8]>) -> Result<(), E>) -> Result<Self, E> {
        let test_id = Uuid::new_v4();
        Ok(Self { test_id, secrets: Arc::new(Secrets::export(test_id, export)?) })
    }
}
