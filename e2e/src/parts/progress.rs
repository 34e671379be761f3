//! What a waiting person sees: one line that counts seconds on a terminal, one line per result elsewhere.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

/// What fits on the narrowest usual terminal: a line that wraps cannot be redrawn.
const COLUMNS: usize = 78;

/// Where progress goes.
pub struct Progress {
    out: Box<dyn Write + Send>,
    terminal: bool,
    last: String,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl Progress {
    /// Standard error.
    pub fn stderr() -> Self {
        Self { out: Box::new(io::stderr()), terminal: io::stderr().is_terminal(), last: String::new() }
    }

    /// Nowhere.
    pub fn silent() -> Self {
        Self { out: Box::new(io::sink()), terminal: false, last: String::new() }
    }

    /// Something takes time: call it again and again. Elsewhere than on a terminal only a new text is shown.
    pub fn tick(&mut self, text: &str, elapsed: Duration) {
        if self.terminal {
            let seconds = format!(" … {} s", elapsed.as_secs());
            let room = COLUMNS.saturating_sub(seconds.chars().count());
            let short: String = text.chars().take(room).collect();
            self.write(&format!("\r\x1b[K{short}{seconds}"));
        } else if self.last != text {
            self.write(&format!("{text} …\n"));
        }
        text.clone_into(&mut self.last);
    }

    /// It is done, or it failed: the line stays.
    pub fn done(&mut self, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        self.write(&format!("{clear}{text}\n"));
        self.last.clear();
    }

    /// Best effort: a reader that went away changes nothing about the result.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn shown(terminal: bool, text: &str) -> String {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut progress = Progress { out: Box::new(writer), terminal, last: String::new() };
        progress.tick(text, Duration::from_secs(1));
        progress.tick(text, Duration::from_secs(2));
        progress.done("node: built in 3 s");
        drop(progress);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_terminal_counts_seconds_on_one_line() {
        assert_eq!(
            shown(true, "node: building"),
            "\r\x1b[Knode: building … 1 s\r\x1b[Knode: building … 2 s\r\x1b[Knode: built in 3 s\n"
        );
    }

    #[test]
    fn a_line_that_counts_does_not_wrap_and_keeps_its_seconds() {
        let shown = shown(true, &format!("node: building {}", "kine, ".repeat(40)));
        let second = shown.split("\r\x1b[K").nth(2).unwrap();
        assert_eq!(second.chars().count(), COLUMNS);
        assert!(second.ends_with(" … 2 s"), "{second}");
    }

    #[test]
    fn a_log_gets_each_line_once() {
        assert_eq!(shown(false, "node: building"), "node: building …\nnode: built in 3 s\n");
    }
}
