//! What a proof says.

use crate::EndpointId;

/// First in every message, so that a signature can never mean anything else.
const LABEL: &str = "pp-pair/1";

/// "This appliance presented the code of this peer to this reflector."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// `metadata.uid` of the `ReflectorPeer`.
    pub peer_uid: &'a str,
    /// Name of the Reflector that saw the code; of a fleet, the member: the name of its entry in `status.reflectors`.
    pub reflector: &'a str,
    /// Who presented it, as its certificate proved.
    pub endpoint_id: EndpointId,
}

impl Statement<'_> {
    /// The bytes that are signed: `pp-pair/1`, the peer's uid, the reflector's name and the Endpoint ID in its canonical
    /// text, each after its length in bytes as four bytes, most significant first. So no two statements share a message.
    pub fn message(&self) -> Vec<u8> {
        let endpoint_id = self.endpoint_id.to_string();
        let mut message = Vec::new();
        for part in [LABEL, self.peer_uid, self.reflector, &endpoint_id] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            message.extend_from_slice(&length.to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        message
    }
}
