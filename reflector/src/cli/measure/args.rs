//! The arguments of `reflector test`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint, value_parser};
use crds::quantity::Amount;

use super::super::args::Json;
use super::super::backend::{Keep, Measurement};
use crate::access::pairing::Code;
use crate::client::Target;
use crate::client::plan::{Direction, Wish};
use crate::config::duration;
use crate::config::keys::MAX_TEST_SECONDS;

/// `reflector test`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct TestArgs {
    /// PP-…@host:port of a reflector (port 4000 if left out), or iperf3://host:port of a stock iperf3 server
    #[arg(value_name = "ADDRESS")]
    target: Target,
    /// Measure from the reflector to us
    #[arg(long)]
    down: bool,
    /// Measure from us to the reflector
    #[arg(long)]
    up: bool,
    /// Measure both directions at once
    #[arg(long)]
    bidir: bool,
    /// Send UDP at this rate (bits a second: 20M, 1.5G) instead of TCP
    #[arg(long, value_name = "RATE", value_parser = rate)]
    udp: Option<u64>,
    /// How long each direction runs: 10, 30s, 1m
    #[arg(short = 't', long, value_name = "TIME", value_parser = seconds)]
    time: Option<u64>,
    /// Streams of each direction; default: 4, with UDP 1
    #[arg(short = 'P', long, value_name = "N", value_parser = value_parser!(u32).range(1..=128))]
    parallel: Option<u32>,
    /// Send all data through TLS on the control port
    #[arg(long)]
    tunnel: bool,
    /// Measure what the tunnel costs: direct and tunneled in turn, twice
    #[arg(long, conflicts_with_all = ["tunnel", "udp", "bidir"])]
    compare: bool,
    /// Pair with this code first; `reflector pair` over there prints one
    #[arg(long, value_name = "CODE", value_parser = code)]
    code: Option<String>,
    /// Keep the result as JSON and as a page, and say what changed since the last one of this reflector. In this folder,
    /// or in the user's state folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    #[arg(value_parser = keep, value_hint = ValueHint::DirPath)]
    save: Option<Keep>,
    /// Write the result as a page that opens from disk to this file
    #[arg(long, value_name = "FILE", value_parser = page, value_hint = ValueHint::FilePath)]
    html: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) json: Json,
}

impl TestArgs {
    /// In the terms of the client.
    pub(in crate::cli) fn measurement(&self) -> Measurement {
        let chosen = [(self.down, Direction::Down), (self.up, Direction::Up), (self.bidir, Direction::Bidir)];
        let wish = Wish {
            directions: chosen.into_iter().filter(|(on, _)| *on).map(|(_, way)| way).collect(),
            udp: self.udp,
            seconds: self.time,
            streams: self.parallel,
            tunnel: self.tunnel,
            compare: self.compare,
        };
        Measurement {
            target: self.target.clone(),
            wish,
            code: self.code.clone(),
            save: self.save.clone(),
            page: self.html.clone(),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "clap's parsers may fail")]
fn keep(folder: &str) -> Result<Keep, String> {
    Ok(if folder.is_empty() { Keep::AsUsual } else { Keep::In(PathBuf::from(folder)) })
}

fn page(file: &str) -> Result<PathBuf, String> {
    match file {
        "" => Err("name a file, such as result.html".to_owned()),
        "-" => Err("standard output holds the result: name a file, such as result.html".to_owned()),
        file => Ok(PathBuf::from(file)),
    }
}

fn rate(text: &str) -> Result<u64, String> {
    match Amount::new(text).value() {
        Ok(0) => Err("must be more than 0".to_owned()),
        Ok(bits) => Ok(bits),
        Err(error) => Err(error.to_string()),
    }
}

fn seconds(text: &str) -> Result<u64, String> {
    let given = duration::parse(text).map_err(|error| error.to_string())?;
    if !(Duration::from_secs(1)..=Duration::from_secs(MAX_TEST_SECONDS)).contains(&given) {
        return Err(format!("must be from 1s to {MAX_TEST_SECONDS}s"));
    }
    Ok(given.as_secs())
}

/// A pairing code as it was typed, if it can be one.
pub(in crate::cli) fn code(text: &str) -> Result<String, String> {
    Code::parse(text)
        .map(|_| text.to_owned())
        .ok_or_else(|| "a code has eight symbols, such as ABCD-2345".to_owned())
}
