//! The streams of one direction while they run, and what they came to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::series::Series;
use crate::engine::iperf::results::StreamResult;
use crate::engine::purse::Purse;
use crate::engine::streams::{
    DatagramLink, Link, Snapshot, Stream, Streams, TcpSink, TcpSource, UdpSink, UdpSource,
};
use crate::engine::sys;

/// What the kernel counts as acknowledged before the first byte of payload: SYN and cookie.
const BEFORE_PAYLOAD: u64 = 1 + 37;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// We send.
    Up,
    /// We receive.
    Down,
}

/// Streams of one direction.
pub struct Flow {
    /// Which way.
    pub way: Way,
    /// As both sides number them.
    pub ids: Vec<u32>,
    /// What they moved over time: received, or acknowledged where the kernel says so, else sent.
    pub series: Series,
    streams: Streams,
    acknowledged: bool,
    base: Vec<(Snapshot, Option<u64>)>,
    end: Vec<(Snapshot, Option<u64>)>,
}

impl Flow {
    /// None yet. `acknowledged`: these are plain TCP sockets, whose kernel knows what arrived.
    pub(super) fn new(way: Way, purse: Arc<dyn Purse>, acknowledged: bool) -> Self {
        Self {
            way,
            ids: Vec::new(),
            series: Series::default(),
            streams: Streams::new(purse),
            acknowledged,
            base: Vec::new(),
            end: Vec::new(),
        }
    }

    pub(super) fn add_tcp(&mut self, id: u32, link: Link, source: TcpSource) -> io::Result<()> {
        let name = format!("test-{id}");
        match self.way {
            Way::Up => self.streams.tcp_source(&name, link, source)?,
            Way::Down => self.streams.tcp_sink(&name, link, TcpSink::default())?,
        };
        self.ids.push(id);
        Ok(())
    }

    pub(super) fn add_udp(
        &mut self,
        id: u32,
        link: DatagramLink,
        sink: UdpSink,
        source: UdpSource,
    ) -> io::Result<()> {
        let name = format!("test-{id}");
        match self.way {
            Way::Up => self.streams.udp_source(&name, link, source)?,
            Way::Down => self.streams.udp_sink(&name, link, sink)?,
        };
        self.ids.push(id);
        Ok(())
    }

    /// The streams, for samplers of `TCP_INFO`.
    pub const fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Adds what the counters say to the series.
    pub(super) fn sample(&mut self, at: Duration) {
        let up = self.way == Way::Up && self.acknowledged;
        let bytes =
            self.streams.iter().map(|stream| if up { acked(stream) } else { stream.counters().bytes() });
        let bytes = bytes.collect();
        self.series.push(at, bytes);
    }

    /// Everything until now is left out of all numbers.
    pub(super) fn omit_until_now(&mut self) {
        self.series.omit_until_now();
        self.base = self.numbers();
        for stream in self.streams.iter() {
            stream.counters().restart_jitter();
        }
    }

    /// The numbers of now are the final ones, whatever still trickles in.
    pub(super) fn close_books(&mut self) {
        if self.end.is_empty() {
            self.end = self.numbers();
        }
    }

    fn numbers(&self) -> Vec<(Snapshot, Option<u64>)> {
        self.streams.iter().map(|stream| (stream.counters().snapshot(), retransmits(stream))).collect()
    }

    /// What we know of each stream, in the order of opening: sent or received, without what was omitted.
    pub fn results(&self, seconds: f64) -> Vec<StreamResult> {
        let ids = self.ids.iter().copied();
        ids.zip(self.totals()).map(|(id, total)| StreamResult { id, end_time: seconds, ..total }).collect()
    }

    /// Each stream without the omitted part.
    fn totals(&self) -> impl Iterator<Item = StreamResult> + '_ {
        self.end.iter().enumerate().map(|(index, (end, sent_again))| {
            let (base, again_before) = self.base.get(index).copied().unwrap_or_default();
            let omitted = (!self.base.is_empty()).then_some((base.lost, base.packets));
            let receiving = self.way == Way::Down;
            StreamResult {
                bytes: end.bytes.saturating_sub(base.bytes),
                retransmits: sent_again
                    .filter(|_| !receiving)
                    .map(|count| count.saturating_sub(again_before.unwrap_or(0))),
                jitter: end.jitter.as_secs_f64(),
                errors: end.lost,
                packets: end.packets,
                omitted: omitted.filter(|_| end.packets > 0),
                ..StreamResult::default()
            }
        })
    }

    /// Datagrams that came after a later one.
    pub fn out_of_order(&self) -> u64 {
        self.end.iter().map(|(end, _)| end.out_of_order).sum()
    }

    /// Datagrams that came twice.
    pub fn duplicates(&self) -> u64 {
        self.end.iter().map(|(end, _)| end.duplicates).sum()
    }

    /// Processor time of threads that have ended.
    pub fn cpu(&self) -> (Duration, Duration) {
        self.streams.iter().map(|stream| stream.counters().final_cpu()).fold(
            (Duration::ZERO, Duration::ZERO),
            |(user, system), (more_user, more_system)| {
                (user.saturating_add(more_user), system.saturating_add(more_system))
            },
        )
    }
}

fn acked(stream: &Stream) -> u64 {
    let sent = stream.counters().bytes();
    let info = sys::tcp_info(stream.socket()).ok().and_then(|info| info.bytes_acked);
    info.map_or(sent, |acked| acked.saturating_sub(BEFORE_PAYLOAD).min(sent))
}

fn retransmits(stream: &Stream) -> Option<u64> {
    sys::tcp_info(stream.socket()).ok().map(|info| u64::from(info.retransmitted_segments))
}

#[cfg(test)]
impl Flow {
    /// One stream that ran for a second and came to this.
    pub(crate) fn that_came_to(way: Way, end: Snapshot) -> Self {
        let mut flow = Self::new(way, Arc::new(crate::engine::purse::Unlimited), false);
        flow.ids.push(1);
        flow.series.push(Duration::from_secs(1), vec![end.bytes]);
        flow.end.push((end, None));
        flow
    }
}
