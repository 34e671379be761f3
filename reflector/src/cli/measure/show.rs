//! What a person sees of a test: lines and a bar on standard error, the answer on standard output.

use std::io::{self, Write};
use std::time::Duration;

use super::super::exit::Exit;
use super::super::output::{Answer, Style, plain};
use crate::client::key::ClientKey;
use crate::client::plan::{Phase, Plan};
use crate::client::report::screen::{Bar, Progress};
use crate::client::report::table;
use crate::client::run::{Event, Measured};
use crate::client::throughput::{Stage, Tick};
use crate::link::message::Mode;

/// Standard error while a test runs.
pub(super) struct Screen {
    bar: Option<Bar<io::Stderr>>,
    /// Of the phases before this one: the bar's clock only runs forward.
    before: Duration,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { bar: Bar::on_stderr(), before: Duration::ZERO }
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
            Event::Tick { phase, tick } => self.tick(phase, tick),
        }
    }

    fn tick(&mut self, phase: &Phase, tick: &Tick<'_>) {
        let moved = tick.flows.iter().filter_map(|flow| flow.series.last_step());
        let rates = moved.map(|(bytes, time)| mbps(bytes, time));
        let progress = Progress {
            phase: phase.name,
            elapsed: tick.at,
            total: Some(Duration::from_secs(phase.seconds)),
            mbps: rates.reduce(|sum, rate| sum + rate),
            rtt: tick.rtt,
        };
        let now = self.before + tick.at;
        if let Some(bar) = &mut self.bar {
            bar.show(now, &progress);
        }
        if tick.stage == Stage::Over {
            self.before = now;
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        if let Some(bar) = &mut self.bar {
            bar.clear();
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
    /// It is also where it was to be kept.
    pub(super) kept: bool,
}

impl Answer for Tested {
    fn json(&self) -> serde_json::Result<String> {
        self.measured.result.to_json()
    }

    fn text(&self, style: Style) -> String {
        table::render(&self.measured.result, style.colour)
    }

    fn exit(&self) -> Exit {
        match (self.kept, self.measured.complete) {
            (false, _) => Exit::Failed,
            (true, true) => Exit::Done,
            (true, false) => Exit::Part,
        }
    }
}
