//! The line on the screen while a test runs: rate and round-trip time, redrawn at most ten times a second.
//!
//! [`text`] is pure; [`Bar`] writes to the stream it was given and nowhere else.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::text::{plain, rate, seconds, time};

/// Nobody reads faster, and a slow serial line is not flooded.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Cells of the bar.
const BAR_CELLS: usize = 20;
/// Rates shown beside it.
const RATES_SHOWN: usize = 16;
/// No name of a phase is longer; a foreign one is cut.
const NAME_CHARS: usize = 16;
/// One column is left free: some terminals begin a new line when the last one is written.
const MOST_COLUMNS: usize = 79;

/// Where a phase is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress<'a> {
    /// `down`, `up`, …
    pub phase: &'a str,
    /// Since the phase began.
    pub elapsed: Duration,
    /// How long it will take, if that is known.
    pub total: Option<Duration>,
    /// Rate of the newest interval.
    pub mbps: Option<f64>,
    /// Newest round-trip time.
    pub rtt: Option<Duration>,
}

/// A line that is drawn again and again.
#[derive(Debug)]
pub struct Bar<W: Write> {
    to: W,
    colour: bool,
    drawn_at: Option<Duration>,
    phase: String,
    rates: VecDeque<f64>,
}

impl Bar<io::Stderr> {
    /// On standard error, when that is a terminal that can move its cursor; coloured unless `NO_COLOR` and its kin say
    /// no.
    pub fn on_stderr() -> Option<Self> {
        let stderr = io::stderr();
        let able = stderr.is_terminal() && can_move_cursor();
        let colour = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
        able.then(|| Self::new(stderr, colour))
    }
}

/// `TERM=dumb` names a terminal without a cursor to move.
#[expect(clippy::disallowed_methods, reason = "asks what the terminal can do")]
fn can_move_cursor() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl<W: Write> Bar<W> {
    /// On any stream.
    pub fn new(to: W, colour: bool) -> Self {
        Self { to, colour, drawn_at: None, phase: String::new(), rates: VecDeque::new() }
    }

    /// Draws, unless it did less than 100 ms ago. `now` is any clock that only runs forward. A stream that cannot be
    /// written to is no reason to end a test.
    pub fn show(&mut self, now: Duration, progress: &Progress<'_>) {
        if self.drawn_at.is_some_and(|before| now.saturating_sub(before) < SHORTEST_PAUSE) {
            return;
        }
        self.drawn_at = Some(now);
        if self.phase != progress.phase {
            progress.phase.clone_into(&mut self.phase);
            self.rates.clear();
        }
        if let Some(mbps) = progress.mbps {
            self.rates.push_back(mbps);
            if self.rates.len() > RATES_SHOWN {
                self.rates.pop_front();
            }
        }
        let line = text(progress, self.rates.make_contiguous(), self.colour);
        // Back to the first column, write, delete the rest: nothing flickers.
        let _ = write!(self.to, "\r{line}\u{1b}[K").and_then(|()| self.to.flush());
    }

    /// Takes the line away, for what is written next.
    pub fn clear(&mut self) {
        if self.drawn_at.take().is_some() {
            let _ = write!(self.to, "\r\u{1b}[K").and_then(|()| self.to.flush());
        }
    }
}

/// However a test ends, its line does not stay.
impl<W: Write> Drop for Bar<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// One line of at most 79 columns. `rates` are the newest ones, oldest first.
pub fn text(progress: &Progress<'_>, rates: &[f64], colour: bool) -> String {
    let paint = |style: Style, text: &str| {
        if colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    };
    let name: String = plain(progress.phase).chars().take(NAME_CHARS).collect();
    let elapsed = progress.elapsed.as_secs_f64();
    let mut parts = vec![(name.clone(), paint(Style::new().bold(), &name))];
    if let Some(total) = progress.total.filter(|total| !total.is_zero()) {
        let full = cells(elapsed / total.as_secs_f64());
        let (done, left) = ("━".repeat(full), "─".repeat(BAR_CELLS - full));
        let painted = paint(AnsiColor::Cyan.on_default(), &done) + &paint(Style::new().dimmed(), &left);
        parts.push((done + &left, painted));
    }
    let mut add = |text: String| parts.push((text.clone(), text));
    add(format!("{:>6}", seconds(elapsed)));
    add(format!("{:>11}", progress.mbps.map_or_else(|| "–".to_owned(), rate)));
    add(format!("{:>8}", progress.rtt.map_or_else(|| "–".to_owned(), |rtt| time(rtt.as_secs_f64() * 1e6))));
    let spark = sparkline(rates);
    parts.push((spark.clone(), paint(AnsiColor::Cyan.on_default(), &spark)));
    let mut line = String::new();
    let mut columns = 0;
    for (bare, painted) in parts {
        // What does not fit is left out whole: half an escape sequence would colour everything after.
        columns += bare.chars().count() + 2;
        if columns <= MOST_COLUMNS + 2 {
            line.push_str(if line.is_empty() { "" } else { "  " });
            line.push_str(&painted);
        }
    }
    line
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of cells"
)]
fn cells(share: f64) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "twenty")]
    let most = BAR_CELLS as f64;
    (share.clamp(0.0, 1.0) * most).floor() as usize
}

/// Rates as heights, the highest one full.
fn sparkline(rates: &[f64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = rates.iter().copied().fold(0.0, f64::max);
    let height = |rate: &f64| {
        let share = if highest > 0.0 { (rate / highest).clamp(0.0, 1.0) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        let index = (share * 7.0).round() as usize;
        HEIGHTS.get(index).copied().unwrap_or('▁')
    };
    rates.iter().map(height).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Progress<'_> = Progress {
        phase: "down",
        elapsed: Duration::from_secs(5),
        total: Some(Duration::from_secs(10)),
        mbps: Some(487.2),
        rtt: Some(Duration::from_micros(24_118)),
    };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_line_shows_rate_and_round_trip_time() {
        let rates = [0.0, 120.0, 300.0, 487.2];
        assert_eq!(
            text(&HALF, &rates, false),
            "down  ━━━━━━━━━━──────────   5.0 s   487 Mbit/s   24.1 ms  ▁▃▅█"
        );
        let unknown = Progress { total: None, mbps: None, rtt: None, ..HALF };
        assert_eq!(text(&unknown, &[], false).trim_end(), "down   5.0 s            –         –");
    }

    #[test]
    fn without_colour_there_is_no_escape_sequence_in_the_text() {
        assert!(!text(&HALF, &[1.0], false).contains('\u{1b}'));
        let painted = text(&HALF, &[1.0], true);
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), text(&HALF, &[1.0], false));
    }

    #[test]
    fn the_line_is_drawn_ten_times_a_second_at_most() {
        let mut bar = Bar::new(Vec::new(), false);
        for now in 0..1000 {
            bar.show(ms(now), &HALF);
        }
        let drawn = String::from_utf8(bar.to.clone()).unwrap().matches('\r').count();
        assert_eq!(drawn, 10);
    }

    /// A line that wraps is never taken away again.
    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let extremes = [0.0, 1e-9, 12.3, 999.96, 1e300].map(|mbps| (mbps, ms(86_400_000)));
        for (mbps, elapsed) in extremes {
            let progress = Progress {
                phase: "a name as long as a reflector may like",
                elapsed,
                mbps: Some(mbps),
                ..HALF
            };
            let line = text(&progress, &[mbps; RATES_SHOWN], false);
            assert!(line.chars().count() <= MOST_COLUMNS, "{line}");
        }
        let foreign = Progress { phase: "x\u{1b}[2J\n", ..HALF };
        assert!(text(&foreign, &[], false).chars().all(|c| !c.is_control()));
    }

    #[test]
    fn the_line_is_gone_when_the_bar_is() {
        let mut written = Vec::new();
        let mut bar = Bar::new(&mut written, false);
        bar.show(ms(0), &HALF);
        drop(bar);
        assert!(written.ends_with(b"\r\x1b[K"));
        // One that never drew leaves no trace.
        let mut written = Vec::new();
        drop(Bar::new(&mut written, false));
        assert!(written.is_empty());
    }

    #[test]
    fn another_phase_begins_with_an_empty_curve() {
        let mut bar = Bar::new(Vec::new(), false);
        bar.show(ms(0), &HALF);
        bar.show(ms(100), &HALF);
        bar.show(ms(200), &Progress { phase: "up", mbps: Some(3.0), ..HALF });
        assert_eq!(bar.rates, [3.0]);
    }
}
