//! Writes a newly paired peer into the peers folder and waits until policy knows it.

use std::path::PathBuf;

use crds::EndpointId;

use crate::access::Access;
use crate::access::directory::DirectoryHandle;
use crate::access::edit;
use crate::access::manifest::Mine;
use crate::access::policy::Verdict;
use crate::engine::BoxFuture;
use crate::server::Roster;

/// The peers folder as a roster.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) mine: Mine,
    pub(super) directory: DirectoryHandle,
    pub(super) access: Access,
}

impl Roster for Folder {
    fn enrol(&self, id: EndpointId) -> BoxFuture<Result<String, String>> {
        let (path, mine) = (self.path.clone(), self.mine.clone());
        let (directory, access) = (self.directory.clone(), self.access.clone());
        Box::pin(async move {
            let write = move || edit::add(&path, &mine, id, None, None);
            let written = tokio::task::spawn_blocking(write).await.map_err(|e| e.to_string())?;
            let name = written.map_err(|e| e.to_string())?.name;
            directory.rescan().await.map_err(|e| e.to_string())?;
            match access.verdict(&id) {
                Verdict::Allowed(_) => Ok(name),
                Verdict::Refused(refusal) => {
                    Err(format!("{name} is written but refused: {}", refusal.reason()))
                }
            }
        })
    }
}
