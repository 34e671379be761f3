//! The audit log: append-only JSON lines, each carrying the hash of the one before.
//!
//! In: an [`event::Event`] from whoever saw it happen. Out: a line on disk or stdout, and, for `reflector audit
//! verify`, a [`verify::Report`] of what was removed, changed, reordered or repeated since.
//! What may not happen here: a caller waiting without a deadline, a line without a bound, an event lost without
//! being counted. `line`, `chain`, `verify`, `limiter`, `told` and `resume` decide; `sink`, `writer`, `handle`, `files` and
//! `export` do IO.
//!
//! The chain has no key: whoever can rewrite the whole log *and* its head can forge it. The head of the running
//! server, or a copy of the sidecar kept elsewhere, is what such a forgery has to match.

pub mod chain;
pub mod event;
pub mod export;
pub mod files;
mod handle;
mod limiter;
mod line;
mod resume;
mod sink;
mod told;
pub mod verify;
mod writer;

pub use chain::Head;
pub use event::{Event, EventType};
pub use handle::{Audit, Error, OnFailure, Settings, Target};
