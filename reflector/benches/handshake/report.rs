//! Spreads and ratios, as a Markdown table.

use super::client::Agreed;
use super::servers::Server;

/// Least acceptable ratio of ours to OpenSSL's.
const TARGET: f64 = 0.9;

/// What one round measured.
pub(crate) struct Samples {
    pub(crate) per_second: f64,
    pub(crate) cpu_us: f64,
}

/// All rounds with one number of clients: ours first, OpenSSL's second.
pub(crate) struct Table {
    clients: u32,
    samples: [Vec<Samples>; 2],
}

/// Minimum, median, maximum.
struct Spread([f64; 3]);

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        Self([at(0), at(sorted.len() / 2), at(sorted.len().saturating_sub(1))])
    }

    fn median(&self) -> f64 {
        self.0[1]
    }

    fn cells(&self) -> String {
        let [min, median, max] = self.0;
        format!("{min:.0} | {median:.0} | {max:.0}")
    }
}

/// Who, with what, where.
pub(crate) fn heading(servers: &[Server; 2], agreed: Agreed, rounds: u32, handshakes: u32) {
    let [ours, theirs] = servers;
    let (suite, group) = (agreed.suite.map(|s| format!("{s:?}")), agreed.group.map(|g| format!("{g:?}")));
    println!("{} beside {}", ours.name, theirs.name);
    println!(
        "full TLS 1.3 handshakes on loopback, both sides Ed25519, {}, {}, no tickets",
        group.unwrap_or_default(),
        suite.unwrap_or_default()
    );
    println!("{rounds} rounds of {handshakes} handshakes each, taking turns");
    println!("{}", e2e::machine::describe());
}

impl Table {
    pub(crate) fn new(clients: u32) -> Self {
        Self { clients, samples: [Vec::new(), Vec::new()] }
    }

    pub(crate) fn add(&mut self, server: usize, sample: Samples) {
        self.samples[server].push(sample);
    }

    /// Prints the table and its ratios; true when they are on target.
    pub(crate) fn print(&self, servers: &[Server; 2]) -> bool {
        println!("\n{} client(s) at a time\n", self.clients);
        println!("| server | handshakes/s min | median | max | server CPU µs/handshake min | median | max |");
        println!("|---|---:|---:|---:|---:|---:|---:|");
        let mut medians = Vec::new();
        for (server, samples) in servers.iter().zip(&self.samples) {
            let rate = Spread::of(samples.iter().map(|s| s.per_second));
            let cpu = Spread::of(samples.iter().map(|s| s.cpu_us));
            println!("| {} | {} | {} |", server.name, rate.cells(), cpu.cells());
            medians.push((rate.median(), cpu.median()));
        }
        let [(our_rate, our_cpu), (their_rate, their_cpu)] = medians.as_slice() else { return false };
        let (rate, cpu) = (our_rate / their_rate, their_cpu / our_cpu);
        println!(
            "\nours to OpenSSL's, by medians: {rate:.2}x the handshakes/s, {cpu:.2}x per second of server CPU (target {TARGET}x)"
        );
        rate >= TARGET && cpu >= TARGET
    }
}
