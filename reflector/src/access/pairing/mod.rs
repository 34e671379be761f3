//! The way in for an appliance no policy knows: a code of eight symbols, good once, for a while, guarded against guessing.
//!
//! In: `reflector pair` opens a window; appliances present codes. Out: a [`Reservation`] the server turns into a peer, or
//! a refusal with its own message. `window` decides, `limits` bounds guessing and memory, `store` keeps the open
//! window over a restart, `handle` ties them together. Whoever a policy names (suspended, expired, invalid) must never
//! get here, and nobody while the policy is not current: the server checks both first.

mod code;
mod guard;
mod handle;
mod limits;
mod outcome;
mod store;
#[cfg(test)]
mod tests;
mod window;

pub use code::Code;
pub use guard::{FAST_WRONG_CODES, Guard, SLOW_CHECK};
pub use handle::{Pairing, Reservation};
pub use limits::{CODES_PER_MINUTE, MAX_TRACKED};
pub use outcome::{Error, Opened, Outcome, Refused};
