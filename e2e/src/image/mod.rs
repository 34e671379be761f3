//! Container images without a container engine: our own writer of OCI archives.
//!
//! In: files, from memory or disk, and what to run. Out: one tar that containerd imports under the name it carries. The
//! same input gives the same bytes and so the same digest: entries are sorted, times are zero, owners are root, and
//! layers are plain tars, so that no compressor's version is in the result. It reads the files it is given and asks a
//! program's own loader for its libraries; nothing here talks to a network.

mod archive;
mod digest;
mod documents;
mod elf;
mod files;
mod layer;
mod made;
mod name;

pub use self::archive::{Image, write};
pub use self::digest::Digest;
pub use self::documents::{Config, Platform};
pub use self::files::Files;
pub use self::made::{busybox, pause, program};
pub use self::name::Name;
