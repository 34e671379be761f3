//! What the kernel says about a running process.
//!
//! In: a process id. Out: numbers from `/proc`. Parsing is pure and tested; reading is one line each.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A process, looked at from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    pid: u32,
}

impl Vitals {
    /// The process with this id.
    pub const fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Resident memory, in KiB.
    pub fn rss_kib(self) -> io::Result<u64> {
        status_field(&self.read("status")?, "VmRSS").ok_or_else(|| unreadable("VmRSS"))
    }

    /// The most memory that was ever resident, in KiB.
    pub fn peak_rss_kib(self) -> io::Result<u64> {
        status_field(&self.read("status")?, "VmHWM").ok_or_else(|| unreadable("VmHWM"))
    }

    /// Resident memory that no file backs and nobody shares: heap and stacks, in KiB.
    pub fn private_kib(self) -> io::Result<u64> {
        status_field(&self.read("status")?, "RssAnon").ok_or_else(|| unreadable("RssAnon"))
    }

    /// CPU time of all threads, user and system, in clock ticks (a hundredth of a second on Linux).
    pub fn cpu_ticks(self) -> io::Result<u64> {
        cpu_ticks(&self.read("stat")?).ok_or_else(|| unreadable("utime and stime"))
    }

    /// CPU time of its living threads to the nanosecond, for processes whose threads stay.
    pub fn cpu_time(self) -> io::Result<Duration> {
        let mut sum = Duration::ZERO;
        for thread in fs::read_dir(self.path("task"))? {
            let Ok(schedstat) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            sum += run_time(&schedstat).ok_or_else(|| unreadable("schedstat"))?;
        }
        Ok(sum)
    }

    /// How often the process went to sleep and was woken, over its living threads.
    pub fn voluntary_ctxt_switches(self) -> io::Result<u64> {
        let mut sum = 0_u64;
        for thread in fs::read_dir(self.path("task"))? {
            // A thread that ended between the two reads is no error, and its switches are gone from the sum.
            let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
            let switches = status_field(&status, "voluntary_ctxt_switches");
            sum = sum.saturating_add(switches.ok_or_else(|| unreadable("voluntary_ctxt_switches"))?);
        }
        Ok(sum)
    }

    /// Open file descriptors.
    pub fn open_fds(self) -> io::Result<usize> {
        self.entries("fd")
    }

    /// Living threads.
    pub fn threads(self) -> io::Result<usize> {
        self.entries("task")
    }

    fn entries(self, folder: &str) -> io::Result<usize> {
        fs::read_dir(self.path(folder))?.try_fold(0, |count, entry| entry.map(|_| count + 1))
    }

    fn read(self, file: &str) -> io::Result<String> {
        fs::read_to_string(self.path(file))
    }

    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid))
    }
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} not found in /proc"))
}

/// The number behind `name:` in a `status` file.
fn status_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of a `stat` file. Field 2 is the program's name and may hold anything, so count from its end.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(user.saturating_add(system))
}

/// The first field of a thread's `schedstat`: nanoseconds on a processor.
fn run_time(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_nasty_name_is_still_read() {
        let stat = "42 (a b) c) 1) S 1 42 42 0 -1 4194560 900 0 3 0 17 25 0 0 20 0 3 0 100 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("42 (short) S 1"), None);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status =
            "Name:\tx\nVmRSS:\t    5120 kB\nnonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t7\n";
        assert_eq!(status_field(status, "VmRSS"), Some(5120));
        assert_eq!(status_field(status, "voluntary_ctxt_switches"), Some(7));
        assert_eq!(status_field(status, "VmHWM"), None);
    }

    #[test]
    fn run_time_is_the_first_of_three_numbers() {
        assert_eq!(run_time("48041672 323530310 28\n"), Some(Duration::from_nanos(48_041_672)));
        assert_eq!(run_time("\n"), None);
    }

    #[test]
    fn this_process_has_vitals() {
        let vitals = Vitals::of(std::process::id());
        assert!(vitals.rss_kib().unwrap() > 100);
        assert!(vitals.peak_rss_kib().unwrap() >= 100);
        assert!(vitals.private_kib().unwrap() < vitals.rss_kib().unwrap());
        assert!(vitals.open_fds().unwrap() >= 3);
        assert!(vitals.threads().unwrap() >= 1);
        vitals.cpu_ticks().unwrap();
        assert!(vitals.cpu_time().unwrap() > Duration::ZERO);
        vitals.voluntary_ctxt_switches().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Vitals::of(u32::MAX).rss_kib().is_err());
    }
}
