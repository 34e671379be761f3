//! What `reflector peers add|remove|revoke|list` and pairing do to the directory of manifests.
//!
//! In: a directory and a wish. Out: one whole file written, rewritten or removed, durable when the call returns; the
//! running server notices by itself. IO only: which bytes to write is decided in `text`. Everything blocks.

mod text;
mod types;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crds::EndpointId;
use rustix::fs::{FlockOperation, flock};

use super::directory::MAX_OBJECTS;
use super::manifest::{self, Document, Format, MAX_FILE_BYTES, Mine};
use super::object::Object;
use crate::atomic::{self, IfTaken};

pub use types::{Edited, Error, Listed, NewPeer};

/// Everyone may read: a manifest holds no secret, and root's CLI writes what an unprivileged server reads.
const NEW_FILE_MODE: u32 = 0o644;
/// Names tried for one peer before giving up; each one that is taken was taken by somebody else meanwhile.
const NAME_TRIES: u32 = 20;
/// How long an edit waits for the one before it. They take milliseconds; whoever holds the lock for longer may be anybody
/// who can read the directory, and must not be able to hold back a revocation.
/// Test: `somebody_who_sits_on_the_lock_holds_nothing_back`.
const LOCK_TRIES: u32 = 200;
/// Pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The directory, for editing.
#[derive(Debug, Clone)]
pub struct PeersDir {
    path: PathBuf,
    mine: Mine,
}

/// A file as read, with what was found in it.
struct Manifest {
    file: String,
    format: Format,
    text: String,
    documents: Vec<Document>,
    listed: Vec<Listed>,
}

impl PeersDir {
    /// The same directory and names the server uses.
    pub fn new(path: PathBuf, mine: Mine) -> Self {
        Self { path, mine }
    }

    /// Every peer of ours, good and broken, in the order the server reads them.
    pub fn list(&self) -> Result<Vec<Listed>, Error> {
        Ok(self.read()?.into_iter().flat_map(|m| m.listed).collect())
    }

    /// Writes one new manifest. An ID that is named already is left alone.
    pub fn add(&self, new: &NewPeer) -> Result<Listed, Error> {
        let _one_at_a_time = self.lock();
        for attempt in 0..NAME_TRIES {
            // Read again each time: whoever took the name may have added the same ID.
            let listed = self.list()?;
            if let Some(known) = listed.iter().find(|l| l.endpoint_id == Some(new.endpoint_id)) {
                let Listed { name, file, suspended, .. } = known.clone();
                return Err(Error::AlreadyKnown { name, file, suspended });
            }
            if listed.len() >= MAX_OBJECTS {
                return Err(Error::Full);
            }
            let name = match &new.name {
                Some(name) if attempt > 0 || listed.iter().any(|l| l.name == *name) => {
                    return Err(Error::NameTaken { name: name.clone() });
                }
                Some(name) => name.clone(),
                None => text::name_for(&new.endpoint_id, attempt),
            };
            if listed.iter().any(|l| l.name == name) {
                continue;
            }
            let manifest =
                text::render(new, &name, &self.mine).map_err(|problems| Error::Invalid { problems })?;
            let path = self.path.join(format!("{name}.yaml"));
            match atomic::write(&path, manifest.as_bytes(), NEW_FILE_MODE, IfTaken::Refuse) {
                Ok(()) => return Ok(listed_as(new, name)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::Write { path, source }),
            }
        }
        Err(Error::NameTaken { name: text::name_for(&new.endpoint_id, NAME_TRIES) })
    }

    /// Removes an object by its name, or every object that names an Endpoint ID. Other documents of the file stay.
    pub fn remove(&self, who: &str) -> Result<Edited, Error> {
        self.edit(who, Scope::Named, |manifest, numbers| {
            Ok(text::without(&manifest.text, &manifest.documents, numbers))
        })
    }

    /// Sets `spec.suspend: true` in every object that names this peer's Endpoint ID, so no younger or older one keeps
    /// it in. The rest of the file stays as it is, comments included, where a line can be changed safely.
    pub fn revoke(&self, who: &str) -> Result<Edited, Error> {
        self.edit(who, Scope::SameIdentity, |manifest, numbers| {
            text::suspended(&manifest.text, manifest.format, &manifest.documents, numbers).map(Some).ok_or(
                Error::NotEditable {
                    file: manifest.file.clone(),
                    why: "it is not a readable object; mend it, or remove it with `reflector peers remove`",
                },
            )
        })
    }

    fn edit(
        &self,
        who: &str,
        scope: Scope,
        change: impl Fn(&Manifest, &[u32]) -> Result<Option<String>, Error>,
    ) -> Result<Edited, Error> {
        let _one_at_a_time = self.lock();
        let manifests = self.read()?;
        let all: Vec<&Listed> = manifests.iter().flat_map(|m| &m.listed).collect();
        let by_id: Option<EndpointId> = who.parse().ok();
        let named: Vec<&Listed> = all
            .iter()
            .copied()
            .filter(|l| by_id.map_or(l.name == who, |id| l.endpoint_id == Some(id)))
            .collect();
        if named.is_empty() {
            let near = text::nearest(who, all.iter().map(|l| l.name.as_str()));
            return Err(Error::UnknownPeer { who: who.chars().take(80).collect(), near });
        }
        let ids: Vec<EndpointId> = named.iter().filter_map(|l| l.endpoint_id).collect();
        let same = |l: &Listed| l.endpoint_id.is_some_and(|id| ids.contains(&id));
        let wanted = |l: &Listed| named.contains(&l) || (scope == Scope::SameIdentity && same(l));
        for manifest in &manifests {
            let numbers: Vec<u32> =
                manifest.listed.iter().filter(|l| wanted(l)).map(|l| l.document).collect();
            if !numbers.is_empty() {
                self.put(manifest, change(manifest, &numbers)?)?;
            }
        }
        let (changed, others): (Vec<Listed>, Vec<Listed>) = all.into_iter().cloned().partition(|l| wanted(l));
        Ok(Edited { changed, remaining: others.into_iter().filter(|l| same(l)).collect() })
    }

    /// Two edits of one file at the same moment would each write what they read, and one revocation would be lost. Without
    /// the lock the edit is made all the same: reading says what is wrong with the directory, if anything is.
    #[expect(
        clippy::disallowed_methods,
        reason = "a lock of another process announces nothing with a deadline"
    )]
    fn lock(&self) -> Option<File> {
        let directory = File::open(&self.path).ok()?;
        for _ in 0..LOCK_TRIES {
            if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Some(directory);
            }
            std::thread::sleep(LOCK_PAUSE);
        }
        None
    }

    fn put(&self, manifest: &Manifest, text: Option<String>) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path.join(&manifest.file);
        let failed = |source| Error::Write { path: path.clone(), source };
        let metadata = std::fs::symlink_metadata(&path).map_err(failed)?;
        if metadata.is_symlink() {
            let why = "it is a link; change the file or ConfigMap it comes from";
            return Err(Error::NotEditable { file: manifest.file.clone(), why });
        }
        match text {
            None => atomic::remove(&path),
            Some(text) if text == manifest.text => Ok(()),
            Some(text) => {
                let mode = metadata.permissions().mode() & 0o777;
                atomic::write(&path, text.as_bytes(), mode, IfTaken::Replace)
            }
        }
        .map_err(failed)
    }

    fn read(&self) -> Result<Vec<Manifest>, Error> {
        let failed = |source| Error::Read { path: self.path.clone(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if let Some(format) = Format::of(&name) {
                files.push((name, format));
            }
        }
        files.sort();
        Ok(files.into_iter().map(|(file, format)| self.read_one(file, format)).collect())
    }

    fn read_one(&self, file: String, format: Format) -> Manifest {
        let path = self.path.join(&file);
        match read_plain(&path) {
            Ok(text) => {
                let documents = manifest::documents(format, &text);
                let parsed = manifest::parse(&file, format, &text, &self.mine);
                let listed = parsed.objects.iter().map(|(key, o)| listed(&file, key.document, o)).collect();
                Manifest { file, format, text, documents, listed }
            }
            // The server goes on without it and names it; so does the list.
            Err(error) => {
                let unread = manifest::unread(&file, Vec::new(), error.to_string());
                let listed = unread.objects.iter().map(|(key, o)| listed(&file, key.document, o)).collect();
                Manifest { file, format, text: String::new(), documents: Vec::new(), listed }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The object with this name, or those with this ID.
    Named,
    /// And every other one with the same ID.
    SameIdentity,
}

fn read_plain(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("not a regular file of at most {MAX_FILE_BYTES} bytes")));
    }
    std::fs::read_to_string(path)
}

fn listed(file: &str, document: u32, object: &Object) -> Listed {
    let good = object.peer.as_ref().ok();
    Listed {
        name: object.name().to_owned(),
        file: file.to_owned(),
        document,
        endpoint_id: object.claims().first().copied(),
        display_name: good.and_then(|p| p.display_name.clone()),
        suspended: good.is_some_and(|p| p.suspended),
        expires_at: good.and_then(|p| p.expires_at),
        problem: object.peer.as_ref().err().map(|b| b.problem.clone()),
    }
}

fn listed_as(new: &NewPeer, name: String) -> Listed {
    Listed {
        file: format!("{name}.yaml"),
        name,
        document: 1,
        endpoint_id: Some(new.endpoint_id),
        display_name: new.display_name.clone(),
        suspended: new.suspended,
        expires_at: new.expires_at,
        problem: None,
    }
}

#[cfg(test)]
mod tests;
