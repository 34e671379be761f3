//! TCP streams: the loops, and the ways a socket is read and written.

mod filler;
mod socket;
mod work;

pub(in crate::engine) use filler::fill;
pub(super) use socket::{Copied, Discarding};
pub use work::{LARGEST_EXACT_BLOCK, TcpSink, TcpSource};
pub(super) use work::{plain_source, prepare, sink, source};
