//! Bytes through TLS by tokio-rustls, client and server as one writes them first.

use std::process::Stdio;

use anyhow::{Context as _, Result};

use super::process::Running;
use super::{Contender, Sample, peer};

/// A pair of processes; each round is a pair of its own.
pub(crate) struct Pair {
    streams: u32,
}

impl Pair {
    pub(crate) const fn new(streams: u32) -> Self {
        Self { streams }
    }
}

impl Contender for Pair {
    fn run(&mut self, seconds: u32) -> Result<Sample> {
        let (sink, address) = peer::start("tls-sink", &[self.streams.to_string()])?;
        let words = [address.to_string(), self.streams.to_string(), seconds.to_string()];
        let mut command = peer::command("tls-source", &words)?;
        let source = Running::start(command.stdout(Stdio::piped()))?.end()?;
        let sink = sink.end()?;
        let mut words = sink.stdout.split_whitespace();
        let mut number =
            || words.next().and_then(|word| word.parse::<f64>().ok()).context("what the sink got");
        let (received, took) = (number()?, number()?);
        let sent: u64 = source.stdout.trim().parse().context("what the source sent")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
        let received = received as u64;
        let sample = Sample::of_bytes(received, took, source.cpu_seconds + sink.cpu_seconds);
        Ok(Sample { sent: Some(sent), ..sample })
    }
}
