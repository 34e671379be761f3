//! TCP streams: the loops, and the ways a socket is read and written.

mod filler;
mod socket;
mod work;

pub(super) use filler::fill;
pub(super) use socket::{Copied, Discarding};
pub use work::{LARGEST_EXACT_BLOCK, TcpSink, TcpSource};
pub(super) use work::{is_closed, is_temporary, plain_source, sink, source};
