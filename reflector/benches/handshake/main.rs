//! TLS handshakes per second and CPU per handshake, beside `openssl s_server` in the same run.
//!
//! Both servers hold an Ed25519 certificate of ours, demand a client certificate and send no tickets; the client leaves them
//! no choice of group and cipher and makes full handshakes against them in turn. What counts is the ratio. How to read
//! the numbers: docs/bench/README.md.
//!
//! `cargo bench --profile dist -p reflector --bench handshake [-- --rounds 7 --handshakes 1000 --gate]`
#![allow(clippy::disallowed_methods, reason = "a benchmark reads clocks")]
#![allow(clippy::cast_precision_loss, reason = "counts of a few thousand become ratios")]

mod client;
mod report;
mod servers;

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::vitals::Vitals;

use client::{Agreed, Client};
use report::{Samples, Table};
use servers::Server;

/// Clients at a time. One shows the time a handshake takes; more show what a server does with two processors.
const CLIENTS: [u32; 2] = [1, 4];
/// Fewer rounds say nothing on a machine that others use too.
const MIN_ROUNDS: u32 = 5;

struct Options {
    rounds: u32,
    handshakes: u32,
    gate: bool,
}

fn main() -> Result<()> {
    let options = options()?;
    let first = run(&options)?;
    if !options.gate || first {
        return Ok(());
    }
    println!("\nbelow target; once more, in case the machine was busy with something else\n");
    ensure!(run(&options)?, "below target twice");
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options { rounds: 7, handshakes: 1000, gate: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let word = words.next().unwrap_or_default();
            word.parse::<u32>().with_context(|| format!("'{word}' is no number"))
        };
        match word.as_str() {
            // Said by cargo to every bench.
            "--bench" => {}
            "--gate" => options.gate = true,
            "--rounds" => options.rounds = number()?,
            "--handshakes" => options.handshakes = number()?,
            other => bail!("unknown option {other}; there are --rounds N, --handshakes N, --gate"),
        }
    }
    ensure!(options.rounds >= MIN_ROUNDS, "at least {MIN_ROUNDS} rounds");
    ensure!(options.handshakes >= 100, "at least 100 handshakes in a round");
    Ok(options)
}

/// Measures, prints, and says whether every ratio is on target.
fn run(options: &Options) -> Result<bool> {
    let dir = tempfile::tempdir()?;
    let client = Client::new()?;
    let servers = [servers::ours(dir.path())?, servers::openssl(dir.path())?];
    let mut agreed = Vec::new();
    // A discarded round warms both up.
    for server in &servers {
        agreed.push(server.check(&client)?);
        round(server, &client, 1, options.handshakes / 4)?;
    }
    let [one, other] = agreed.as_slice() else { bail!("two servers, two agreements") };
    ensure!(one == other, "the servers agreed on different things: {one:?}, {other:?}");
    report::heading(&servers, *one, options.rounds, options.handshakes);
    let mut good = true;
    let before = servers.each_ref().map(Server::counted);
    for clients in CLIENTS {
        let mut table = Table::new(clients);
        for number in 0..options.rounds {
            // Whoever goes first meets another machine than whoever goes second: take turns.
            let order = if number % 2 == 0 { [0, 1] } else { [1, 0] };
            for index in order {
                let sample = round(&servers[index], &client, clients, options.handshakes)?;
                table.add(index, sample);
            }
        }
        good &= table.print(&servers);
    }
    let driven = options.rounds * CLIENTS.iter().map(|n| options.handshakes / n * n).sum::<u32>();
    for (server, before) in servers.iter().zip(before) {
        if let (Some(before), Some(after)) = (before?, server.counted()?) {
            let counted = after - before;
            ensure!(counted == u64::from(driven), "{} counts {counted} of {driven} handshakes", server.name);
        }
    }
    Ok(good)
}

/// So many handshakes, by so many clients at a time.
fn round(server: &Server, client: &Client, clients: u32, handshakes: u32) -> Result<Samples> {
    let vitals = Vitals::of(server.pid());
    let each = handshakes / clients;
    let cpu = vitals.cpu_time()?;
    let began = Instant::now();
    let work = || (0..each).try_for_each(|_| client.handshake(server.address).map(drop));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done.with_context(|| format!("handshake with {}", server.name)),
            Err(_) => bail!("a client panicked"),
        })
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = vitals.cpu_time()?.saturating_sub(cpu).as_secs_f64();
    let done = f64::from(each * clients);
    Ok(Samples { per_second: done / seconds, cpu_us: cpu * 1e6 / done })
}

impl Server {
    /// One handshake, to learn what is agreed on.
    fn check(&self, client: &Client) -> Result<Agreed> {
        client.handshake(self.address).with_context(|| format!("handshake with {}", self.name))
    }
}
