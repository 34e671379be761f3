//! The ledger on disk: one redb file, mode 0600, one row per peer, one row for the clock.
//!
//! Every row carries a checksum over its key and text, and the clock row the number of rows, so damage that the
//! database itself does not notice is an error when the file is opened and never a smaller usage.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use crds::EndpointId;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::quota::Book;
use super::time::Anchor;

/// Version of the layout below.
pub(super) const FORMAT: u32 = 1;

/// Page cache of the database. Rows live in memory anyway; redb's default of 1 GiB would be most of our budget.
const CACHE_BYTES: usize = 256 * 1024;

/// Leading bytes of a row's SHA-256 that are stored with it: it finds damage, it does not stop a forger, who could
/// as well delete the file.
const CHECKSUM: usize = 8;

const PEERS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("peers");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const CLOCK: &str = "clock";

#[derive(Debug, Serialize, Deserialize)]
struct Clock {
    format: u32,
    rows: u64,
    anchor: Anchor,
}

/// What one transaction writes.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) anchor: Anchor,
    pub(super) changed: Vec<(EndpointId, Book)>,
    pub(super) forgotten: Vec<EndpointId>,
}

/// What was on disk.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) anchor: Option<Anchor>,
    pub(super) books: Vec<(EndpointId, Book)>,
}

/// Somewhere durable. The writer thread owns it.
pub(super) trait Store: Send {
    /// Writes all of it or nothing; on the medium when this returns.
    fn write(&mut self, batch: &Batch) -> Result<(), Error>;
}

/// Keeps nothing.
pub(super) struct Forgetful;

impl Store for Forgetful {
    fn write(&mut self, _: &Batch) -> Result<(), Error> {
        Ok(())
    }
}

/// The real store.
#[derive(Debug)]
pub(super) struct RedbStore {
    path: PathBuf,
    /// `None` after a failed write: redb refuses to go on, the file is opened again before the next one.
    database: Option<Database>,
}

impl RedbStore {
    /// Opens the file, or makes one when there is none. An existing empty file is damage, not a fresh start.
    pub(super) fn open(path: &Path, anchor: Anchor) -> Result<(Self, Contents), Error> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let database = create(path, anchor)?;
                Ok((Self { path: path.to_owned(), database: Some(database) }, Contents::default()))
            }
            _ => {
                let (database, contents) = guarded(path, || {
                    let database = open(path)?;
                    let contents = read(&database).map_err(|fault| fault.at(path))?;
                    Ok((database, contents))
                })?;
                Ok((Self { path: path.to_owned(), database: Some(database) }, contents))
            }
        }
    }
}

#[cfg(test)]
impl RedbStore {
    /// As after a write that failed.
    pub(super) fn after_failure(path: &Path) -> Self {
        Self { path: path.to_owned(), database: None }
    }
}

impl Store for RedbStore {
    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => guarded(&self.path, || open(&self.path))?,
        };
        commit(&database, batch)
            .map_err(|detail| Error::Write { path: self.path.clone(), detail: detail.to_string() })?;
        self.database = Some(database);
        Ok(())
    }
}

/// Made under another name and renamed when complete: a crash half way leaves no file that looks like a ledger.
fn create(path: &Path, anchor: Anchor) -> Result<Database, Error> {
    let fail = |detail: String| Error::Create { path: path.to_owned(), detail };
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let io = |error: io::Error| fail(error.to_string());
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(io(error));
    }
    let file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&fresh).map_err(io)?;
    let database = builder().create_file(file).map_err(|error| fail(error.to_string()))?;
    commit(&database, &Batch { anchor, changed: Vec::new(), forgotten: Vec::new() })
        .map_err(|error| fail(error.to_string()))?;
    fs::rename(&fresh, path).map_err(io)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
    Ok(database)
}

/// redb asserts what it believes about a file; on a damaged one that is a panic, and to us one more kind of damage.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::Damaged {
            path: path.to_owned(),
            detail: "its structure does not hold together".to_owned(),
        })
    })
}

fn open(path: &Path) -> Result<Database, Error> {
    let io = |error: io::Error| Error::Open { path: path.to_owned(), detail: error.to_string() };
    let damaged = |detail: &str| Error::Damaged { path: path.to_owned(), detail: detail.to_owned() };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    if !about.is_file() {
        return Err(damaged("not a regular file"));
    }
    if about.len() == 0 {
        return Err(damaged("the file is empty"));
    }
    if about.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(io)?;
    }
    builder().create_file(file).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse { path: path.to_owned() },
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() != io::ErrorKind::InvalidData =>
        {
            Error::Open { path: path.to_owned(), detail: source.to_string() }
        }
        other => damaged(&other.to_string()),
    })
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn commit(database: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut peers = transaction.open_table(PEERS)?;
        for (id, book) in &batch.changed {
            peers.insert(id.public_key(), seal(id.public_key(), book).as_slice())?;
        }
        for id in &batch.forgotten {
            peers.remove(id.public_key())?;
        }
        let clock = Clock { format: FORMAT, rows: peers.len()?, anchor: batch.anchor };
        transaction.open_table(META)?.insert(CLOCK, seal(CLOCK.as_bytes(), &clock).as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

/// Why the contents cannot be used.
enum Fault {
    Damaged(String),
    Newer(u32),
}

impl Fault {
    fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Damaged(detail) => Error::Damaged { path, detail },
            Self::Newer(found) => Error::Newer { path, found },
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Damaged(error.into().to_string())
    }
}

fn read(database: &Database) -> Result<Contents, Fault> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let sealed = meta.get(CLOCK)?.ok_or_else(|| Fault::Damaged("the clock row is missing".to_owned()))?;
    let clock: Clock = unseal(CLOCK.as_bytes(), sealed.value())?;
    if clock.format > FORMAT {
        return Err(Fault::Newer(clock.format));
    }
    let mut books = Vec::new();
    for row in transaction.open_table(PEERS)?.iter()? {
        let (key, value) = row?;
        books.push((EndpointId::from_public_key(*key.value()), unseal(key.value(), value.value())?));
    }
    if u64::try_from(books.len()).ok() != Some(clock.rows) {
        return Err(Fault::Damaged(format!("{} peers found, {} were written", books.len(), clock.rows)));
    }
    Ok(Contents { anchor: Some(clock.anchor), books })
}

fn seal(key: &[u8], value: &impl Serialize) -> Vec<u8> {
    // Plain structs of numbers and names: serialising them cannot fail, and an empty text would not read back.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut out = checksum(key, &text).as_ref().get(..CHECKSUM).unwrap_or_default().to_vec();
    out.extend_from_slice(&text);
    out
}

fn unseal<T: for<'de> Deserialize<'de>>(key: &[u8], sealed: &[u8]) -> Result<T, Fault> {
    let (sum, text) =
        sealed.split_at_checked(CHECKSUM).ok_or_else(|| Fault::Damaged("a row is cut".to_owned()))?;
    if checksum(key, text).as_ref().get(..CHECKSUM) != Some(sum) {
        return Err(Fault::Damaged("a row does not match its checksum".to_owned()));
    }
    serde_json::from_slice(text).map_err(|error| Fault::Damaged(format!("a row cannot be read: {error}")))
}

fn checksum(key: &[u8], text: &[u8]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(key);
    context.update(text);
    context.finish()
}
