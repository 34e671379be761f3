//! Everything this program writes to the API server, the Lease apart.
//!
//! In: objects as they should be. Out: objects as the server has them. `apply` is the only file with server-side apply,
//! `drift` decides what need not be written at all, `secrets` makes and removes what we may not read,
//! `events` which transitions are told, `recorder` tells them, and
//! `overlay` remembers what was written until a watch has brought it back. Nothing is written without standing.

mod apply;
mod drift;
mod events;
mod overlay;
mod recorder;
mod secrets;

pub(crate) use apply::{Error, MANAGER, Writer};
pub(crate) use drift::{hash, is_current, is_sealed_alike, seal};
pub(crate) use events::{Note, Severity, transition};
pub(crate) use overlay::Overlay;
pub(crate) use recorder::Recorder;

use std::time::Duration;

/// A write that takes longer is given up: kube would try again for minutes. Short enough that what a holder of the
/// Lease has sent is over before somebody else may write (`lease::election::STOP_AFTER`).
const DEADLINE: Duration = Duration::from_secs(10);

/// What a person is told of an error that has no words of the API server.
pub(crate) fn with_source(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
