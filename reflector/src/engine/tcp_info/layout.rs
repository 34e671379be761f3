//! `struct tcp_info` as the kernel writes it. Own list, as the one of libc ends before the fields that say what limited
//! a sender. Read as bytes: nothing here has to be trusted to fit.

/// A number at the beginning of what is left; `None` when it is not there as a whole.
trait Take: Sized {
    fn take(rest: &mut &[u8]) -> Option<Self>;
}

macro_rules! takes {
    ($($kind:ty),*) => {$(
        impl Take for $kind {
            fn take(rest: &mut &[u8]) -> Option<Self> {
                let (number, after) = rest.split_first_chunk()?;
                *rest = after;
                Some(<$kind>::from_ne_bytes(*number))
            }
        }
    )*};
}

takes!(u8, u16, u32, u64);

macro_rules! layout {
    ($($field:ident: $kind:ty,)*) => {
        /// Every field in the kernel's order. `None`: this kernel is too old to have filled it.
        #[expect(dead_code, reason = "a field nobody reads still has its place before those that are read")]
        pub(super) struct Raw {
            $(pub(super) $field: Option<$kind>,)*
        }

        /// What it takes as a whole. There is no padding in it.
        pub(in crate::engine) const LENGTH: usize = 0 $(+ size_of::<$kind>())*;

        impl Raw {
            /// From what the kernel wrote.
            pub(super) fn read(mut filled: &[u8]) -> Self {
                let rest = &mut filled;
                // Fields are evaluated in the order they are written.
                Self { $($field: <$kind>::take(rest),)* }
            }

            /// Where the fields begin.
            #[cfg(test)]
            pub(super) fn offsets() -> Vec<(&'static str, usize)> {
                let mut next = 0;
                let mut place = |name, size| {
                    next += size;
                    (name, next - size)
                };
                vec![$(place(stringify!($field), size_of::<$kind>())),*]
            }
        }
    };
}

// linux/tcp.h as of 6.7. Fields are only ever added at the end.
layout! {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    probes: u8,
    backoff: u8,
    options: u8,
    window_scales: u8,
    flags: u8,
    rto: u32,
    ato: u32,
    snd_mss: u32,
    rcv_mss: u32,
    unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    fackets: u32,
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    last_ack_recv: u32,
    pmtu: u32,
    rcv_ssthresh: u32,
    rtt: u32,
    rttvar: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    advmss: u32,
    reordering: u32,
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    notsent_bytes: u32,
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
    delivery_rate: u64,
    busy_time: u64,
    rwnd_limited: u64,
    sndbuf_limited: u64,
    delivered: u32,
    delivered_ce: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
    dsack_dups: u32,
    reord_seen: u32,
    rcv_ooopack: u32,
    snd_wnd: u32,
    rcv_wnd: u32,
    rehash: u32,
    total_rto: u16,
    total_rto_recoveries: u16,
    total_rto_time: u32,
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn layout_is_that_of_the_kernel_header() {
        let offsets = Raw::offsets();
        let at = |field: &str| offsets.iter().find(|(name, _)| *name == field).unwrap().1;
        // Those that libc has, by its word.
        assert_eq!(at("snd_mss"), offset_of!(libc::tcp_info, tcpi_snd_mss));
        assert_eq!(at("last_ack_recv"), offset_of!(libc::tcp_info, tcpi_last_ack_recv));
        assert_eq!(at("rttvar"), offset_of!(libc::tcp_info, tcpi_rttvar));
        assert_eq!(at("total_retrans"), offset_of!(libc::tcp_info, tcpi_total_retrans));
        for (field, offset) in [("pacing_rate", 104), ("delivery_rate", 160), ("snd_wnd", 228)] {
            assert_eq!(at(field), offset, "{field}");
        }
        assert_eq!(LENGTH, 248);
    }
}
