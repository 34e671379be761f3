//! UDP streams: the loops, and the ways datagrams are received and sent.

mod gather;
mod receive;
mod send;
mod sink;
mod source;
mod train;

pub(super) use receive::{Batched, Single};
pub use sink::UdpSink;
pub(super) use sink::{prepare_sink, sink};
pub use source::UdpSource;
pub(super) use source::{plain_source, source};
