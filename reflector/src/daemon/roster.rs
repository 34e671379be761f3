//! Writes a newly paired peer into the peers folder and waits until policy knows it.

use crds::EndpointId;

use crate::access::Access;
use crate::access::directory::DirectoryHandle;
use crate::access::edit::{NewPeer, PeersDir};
use crate::access::policy::Verdict;
use crate::engine::BoxFuture;
use crate::server::{Enrolled, Roster};

/// The peers folder as a roster.
pub(super) struct Folder {
    pub(super) peers: PeersDir,
    pub(super) directory: DirectoryHandle,
    pub(super) access: Access,
}

impl Roster for Folder {
    fn enrol(&self, id: EndpointId) -> BoxFuture<Result<Enrolled, String>> {
        let peers = self.peers.clone();
        let (directory, access) = (self.directory.clone(), self.access.clone());
        Box::pin(async move {
            let new = NewPeer {
                endpoint_id: id,
                name: None,
                display_name: None,
                expires_at: None,
                suspended: false,
            };
            let write = move || peers.add(&new);
            let written = tokio::task::spawn_blocking(write).await.map_err(|e| e.to_string())?;
            let name = written.map_err(|e| e.to_string())?.name;
            // Written is written: the folder's watch finds it, whatever went wrong just now.
            let problem = match directory.rescan().await {
                Err(error) => Some(error.to_string()),
                Ok(()) => match access.verdict(&id) {
                    Verdict::Allowed(_) => None,
                    Verdict::Refused(refusal) => Some(refusal.reason().to_string()),
                },
            };
            Ok(Enrolled { name, problem })
        })
    }
}
