//! The measuring side as somebody on another machine has it: `reflector`, with a key and a configuration of its own.
//!
//! In: the program, a folder for its key, and whatever leads to the machine it is to run on. Out: how a measurement
//! ended, with what it printed. Dropping one that runs ends it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::proc::Spawn;

/// A measurement of two directions takes under ten seconds and the longest that is asked for thirty.
const LONGEST: Duration = Duration::from_secs(90);

/// Somebody who measures.
#[derive(Debug, Clone)]
pub struct Tester {
    program: PathBuf,
    home: PathBuf,
    /// What precedes a command to run it on the other machine.
    way: Vec<OsString>,
}

/// A measurement that is under way.
#[derive(Debug)]
pub struct Measuring(Child);

/// How a measurement ended.
#[derive(Debug)]
pub struct Measured {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub answer: String,
    /// Standard error.
    pub told: String,
}

impl Tester {
    /// Somebody whose key is in this folder; it is made at the first use. `way` is what [`crate::bed::Bed::inside`] says for
    /// no command; empty is this machine.
    pub fn new(program: &Path, home: &Path, way: Vec<OsString>) -> Result<Self> {
        std::fs::create_dir_all(home).with_context(|| format!("make the folder {}", home.display()))?;
        let config = format!("[identity]\nprivate_key_path = \"{}\"\n", home.join("key").display());
        std::fs::write(home.join("client.toml"), config).context("write the client's configuration")?;
        Ok(Self { program: program.to_owned(), home: home.to_owned(), way })
    }

    /// Starts `reflector test` with these words.
    pub fn measure(&self, words: &[&str]) -> Result<Measuring> {
        let (program, before) = self.on_the_way(self.program.as_os_str().to_owned());
        let mut command = Command::new(program);
        command.args(before).arg("test").args(words);
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        Measuring::start(command)
    }

    /// `reflector` with these words, to be started and stopped; its output goes into its folder.
    pub fn daemon(&self, words: &[&str]) -> Spawn {
        let (program, before) = self.on_the_way(self.program.as_os_str().to_owned());
        let spawn = Spawn::new(Path::new(&program), &self.home).args(before).args(words);
        self.environment().into_iter().fold(spawn, |spawn, (name, value)| spawn.env(name, value))
    }

    /// Any other command, on the same machine.
    pub fn command(&self, program: &str, words: &[&str]) -> Command {
        let (program, before) = self.on_the_way(program.into());
        let mut command = Command::new(program);
        command.args(before).args(words).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn on_the_way(&self, program: OsString) -> (OsString, Vec<OsString>) {
        let mut words = self.way.iter().cloned().chain([program]);
        let first = words.next().unwrap_or_default();
        (first, words.collect())
    }

    fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("REFLECTOR_CONFIG", self.home.join("client.toml")), ("XDG_STATE_HOME", self.home.join("state"))]
    }
}

impl Measuring {
    /// Starts a command whose output is wanted.
    pub fn start(mut command: Command) -> Result<Self> {
        let what = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(Self(command.spawn().with_context(|| format!("start {what}"))?))
    }

    /// Waits for its end, whatever it is.
    pub async fn end(self) -> Result<Measured> {
        let Ok(done) = timeout(LONGEST, self.0.wait_with_output()).await else {
            bail!("`reflector test` did not end within {LONGEST:?}")
        };
        let output = done.context("wait for `reflector test`")?;
        Ok(Measured {
            code: output.status.code().unwrap_or(-1),
            answer: String::from_utf8_lossy(&output.stdout).into_owned(),
            told: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_measurement_takes_its_way_and_its_key_along_and_says_how_it_ended() {
        let home = tempfile::tempdir().unwrap();
        let script = r#"echo "$1 $2"; echo "$REFLECTOR_CONFIG" >&2; exit 3"#;
        let way = ["sh", "-c", script].map(OsString::from).to_vec();
        let tester = Tester::new(Path::new("/opt/reflector"), home.path(), way).unwrap();
        let ended = tester.measure(&["PP-X@attic", "--up"]).unwrap().end().await.unwrap();
        // `$0` is the program.
        assert_eq!((ended.code, ended.answer.as_str()), (3, "test PP-X@attic\n"));
        let config = std::fs::read_to_string(ended.told.trim()).unwrap();
        assert!(config.contains(home.path().join("key").to_str().unwrap()), "{config}");
    }
}
