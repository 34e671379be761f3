//! The wire of iperf3, without IO: bytes and values in, values and bytes out.
//!
//! Both sides use it: the server engine and our measuring client. Everything here reads what a stranger wrote, so each
//! reader has a limit and names the error code that iperf3 has for it. Nothing here knows sockets, clocks, quotas or
//! what this reflector allows: it says what the peer asked for, and whether stock iperf3 could have asked for it.

pub mod code;
pub mod cookie;
mod json;
pub mod params;
pub mod reader;
pub mod results;
pub mod state;
pub mod udp;

pub use code::Code;
pub use cookie::Cookie;
pub use params::{Parameters, Transport};
pub use reader::ControlReader;
pub use results::{Results, StreamResult};
pub use state::State;

/// The id of the stream that was opened as number `index` (from 0). There is no stream 2: iperf3 counts its list of
/// streams once more while it holds one.
pub const fn stream_id(index: u32) -> u32 {
    if index == 0 { 1 } else { index.saturating_add(2) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn stream_ids_leave_out_the_two() {
        assert_eq!((0..5).map(super::stream_id).collect::<Vec<_>>(), [1, 3, 4, 5, 6]);
    }
}
