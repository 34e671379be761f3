//! Windows: cron-scheduled times inside of which tests are denied (`Deny`), or outside of which they are (`Allow`).
//!
//! In: windows of a policy and a moment. Out: `None`, or when tests may run again. `window` reads one, `edge` finds
//! the edge (pure), `latch` keeps a wall clock that jumps from opening what was closed.

mod edge;
mod latch;
mod window;

pub use edge::closed_until;
pub use latch::{Gate, Latch};
pub use window::{Effect, MAX_DURATION, MAX_SCHEDULE, Window, WindowError};
