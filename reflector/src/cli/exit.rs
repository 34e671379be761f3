//! Exit codes: one list, the same for every command.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Not done; why and what to do is on standard error.
    Failed = 1,
    /// Answered, and the answer is no: the reflector is not serving, the host is NOT READY, the audit log is not
    /// intact, a test was denied.
    No = 2,
    /// Part of it: a test was cut or interrupted. What was measured until then is the answer.
    Part = 3,
    /// The command line is wrong. `EX_USAGE`: clap's own 2 would read as NOT READY.
    Usage = 64,
}

impl Exit {
    /// Every way, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Done, Self::Failed, Self::No, Self::Part, Self::Usage];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
