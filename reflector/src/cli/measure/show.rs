//! What a person sees of a test: lines and a bar on standard error, the answer on standard output.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::super::exit::Exit;
use super::super::output::{Answer, Style, plain};
use crate::client::key::ClientKey;
use crate::client::plan::Plan;
use crate::client::run::{Event, Measured};
use crate::client::throughput::{Tick, Way};
use crate::link::message::Mode;

/// Standard error while a test runs.
pub(super) struct Screen {
    is_terminal: bool,
    /// A bar stands on the last line.
    has_bar: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), has_bar: false }
    }

    /// One line, which foreign words in it cannot leave.
    pub(super) fn line(&mut self, text: &str) {
        self.clear();
        tell(&format!("{}\n", plain(text)));
    }

    pub(super) fn key(&mut self, key: &ClientKey) {
        for note in &key.notes {
            self.line(note);
        }
        if key.created {
            self.line(&format!(
                "made a key for this client: {}, Endpoint ID {}",
                key.path.display(),
                key.current.identity.id()
            ));
        }
    }

    /// The cost, before anything moves.
    pub(super) fn plan(&mut self, plan: &Plan) {
        self.line(&plan.to_string());
        for note in &plan.notes {
            self.line(&format!("note: {note}"));
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Waits { seconds } => {
                self.line(&format!("waiting {seconds} s: the reflector wants a pause between our tests"));
            }
            Event::FellBack { why } => {
                self.line(&format!(
                    "direct data does not get through ({why}): measuring through the tunnel instead"
                ));
            }
            Event::Begins { phase, mode } => {
                let tunneled = if *mode == Mode::Tunneled { ", tunneled" } else { "" };
                self.line(&format!("{}{tunneled} …", phase.direction.said()));
            }
            Event::Tick { phase, tick } if self.is_terminal => self.bar(phase.seconds, tick),
            Event::Tick { .. } => {}
        }
    }

    fn bar(&mut self, seconds: u64, tick: &Tick<'_>) {
        let mut text = format!("\r\u{1b}[K{:>4.1}/{seconds} s", tick.at.as_secs_f64());
        for flow in tick.flows {
            let arrow = if flow.way == Way::Up { "up" } else { "down" };
            if let Some((bytes, time)) = flow.series.last_step() {
                text.push_str(&format!("  {arrow} {:.1} Mbit/s", mbps(bytes, time)));
            }
        }
        if let Some(rtt) = tick.rtt {
            text.push_str(&format!("  rtt {:.1} ms", rtt.as_secs_f64() * 1e3));
        }
        tell(&text);
        self.has_bar = true;
    }

    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.has_bar) {
            tell("\r\u{1b}[K");
        }
    }
}

/// Standard error may be closed; there is nobody left to tell then.
fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[expect(clippy::cast_precision_loss, reason = "for a display")]
fn mbps(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8e-6 / time.as_secs_f64().max(1e-3)
}

/// The answer.
pub(super) struct Tested {
    pub(super) measured: Measured,
}

impl Answer for Tested {
    fn json(&self) -> serde_json::Result<String> {
        self.measured.result.to_json()
    }

    fn text(&self, style: Style) -> String {
        let mut rows = vec![["PHASE", "MODE", "END", "MBIT/S", "LIMIT"].map(str::to_owned).to_vec()];
        for phase in &self.measured.result.phases {
            rows.push(vec![
                phase.name.clone(),
                format!("{:?}", phase.mode).to_lowercase(),
                phase.end_reason.clone(),
                phase.mbps.map_or_else(|| "-".to_owned(), |rate| format!("{:.1}", rate.value())),
                format!("{}/{}", phase.limit.by, phase.limit.cause),
            ]);
        }
        style.table(&rows)
    }

    fn exit(&self) -> Exit {
        if self.measured.complete { Exit::Done } else { Exit::Part }
    }
}
