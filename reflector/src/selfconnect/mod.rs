//! Whether a test would be granted now, found out the way an appliance would: over our own port.
//!
//! In: our address, our Endpoint ID, and a key that lives in memory only and that `server` knows for ours. Out: [`Reached`], for
//! the condition `Accepting`. `streak` and `words` decide what an attempt means and when the next is due; `caller` connects.
//! It starts no test, counts for nobody, and opens nothing: a stranger with any other key meets policy as ever.

mod caller;
mod streak;
mod words;

pub(crate) use caller::Caller;
#[cfg(test)]
pub(crate) use caller::call;
#[cfg(test)]
pub(crate) use streak::Answer;
pub use streak::Reached;
