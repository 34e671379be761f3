//! The reflector's binary as a child process, for tests and the demo.
//!
//! In: a program, its arguments, a folder for its output. Out: a [`Daemon`] that can be waited for, signalled and looked at.
//! It knows how to run a program, not what the program should do. The child dies with its handle.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use crate::confine::Confine;
use crate::vitals::Vitals;

/// How often a condition is looked at again. A child's file or socket announces itself to nobody.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long SIGKILL may take to be reaped.
const REAP: Duration = Duration::from_secs(10);
/// How much of the child's log an error shows.
const TAIL: usize = 2_000;

/// Why a child did not do what was awaited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("start {program}")]
    Start {
        /// Which.
        program: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The child ended while something was awaited of it.
    #[error("the child ended ({status}) before {awaited}; the end of its log:\n{log}")]
    Exited {
        /// Its exit status.
        status: ExitStatus,
        /// What was awaited.
        awaited: String,
        /// The end of its stderr.
        log: String,
    },
    /// It took too long.
    #[error("no {awaited} within {after:?}; the end of the child's log:\n{log}")]
    Deadline {
        /// What was awaited.
        awaited: String,
        /// The deadline.
        after: Duration,
        /// The end of its stderr.
        log: String,
    },
    /// Waiting, signalling or reading failed.
    #[error("{0}")]
    Io(&'static str, #[source] io::Error),
}

/// What shows that a child is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// A line of its stdout or stderr contains this.
    Line(String),
    /// Somebody accepts on this Unix socket.
    Socket(PathBuf),
    /// A GET of this path answers 200.
    Http(SocketAddr, String),
}

/// How to start a child.
#[derive(Debug, Clone)]
pub struct Spawn {
    program: PathBuf,
    output: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    confine: Confine,
}

impl Spawn {
    /// A program whose output goes into the files `stdout` and `stderr` of a folder (usually its configuration's). They are
    /// appended to, so that a restart keeps the first life's log.
    pub fn new(program: &Path, output: &Path) -> Self {
        Self {
            program: program.into(),
            output: output.into(),
            args: Vec::new(),
            env: Vec::new(),
            confine: Confine::default(),
        }
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// With less of the machine than there is.
    #[must_use]
    pub fn confined(mut self, confine: Confine) -> Self {
        self.confine = confine;
        self
    }

    /// Starts it. Needs a tokio runtime.
    pub fn start(&self) -> Result<Daemon, Error> {
        self.try_start().map_err(|source| Error::Start { program: self.program.clone(), source })
    }

    fn try_start(&self) -> io::Result<Daemon> {
        let (stdout, out) = Output::append(self.output.join("stdout"))?;
        let (stderr, err) = Output::append(self.output.join("stderr"))?;
        let (program, args) = self.confine.command(&self.program, &self.args);
        let child = Command::new(program)
            .args(args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().unwrap_or_default();
        Ok(Daemon { child, pid, stdout, stderr })
    }
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    pid: u32,
    stdout: Output,
    stderr: Output,
}

/// A file the child writes to, and where this life of it begins.
#[derive(Debug)]
struct Output {
    file: PathBuf,
    begin: u64,
}

impl Output {
    fn append(file: PathBuf) -> io::Result<(Self, File)> {
        let open = File::options().create(true).append(true).open(&file)?;
        Ok((Self { begin: open.metadata()?.len(), file }, open))
    }

    fn text(&self) -> Result<String, Error> {
        let read = || {
            let mut file = File::open(&self.file)?;
            file.seek(SeekFrom::Start(self.begin))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
        };
        read().map_err(|error| Error::Io("read the child's output", error))
    }
}

impl Daemon {
    /// Starts a program with these arguments; its output goes into `output`. [`Spawn`] sets the environment, too.
    pub fn spawn<S: AsRef<OsStr>>(
        program: &Path,
        output: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        Spawn::new(program, output).args(args).start()
    }

    /// Its process id, also after its end.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Memory, CPU, descriptors.
    pub const fn vitals(&self) -> Vitals {
        Vitals::of(self.pid)
    }

    /// What it has written to stdout since it was started.
    pub fn stdout(&self) -> Result<String, Error> {
        self.stdout.text()
    }

    /// What it has written to stderr since it was started.
    pub fn stderr(&self) -> Result<String, Error> {
        self.stderr.text()
    }

    /// Waits until the child is ready; ends early when the child does.
    pub async fn ready(&mut self, sign: &Ready, deadline: Duration) -> Result<(), Error> {
        let awaited = format!("{sign:?}");
        let mut tick = interval(LOOK_AGAIN);
        let wait = async {
            loop {
                tick.tick().await;
                if self.shows(sign).await? {
                    return Ok(());
                }
                if let Some(status) = self.child.try_wait().map_err(|e| Error::Io("look at the child", e))? {
                    return Err(Error::Exited { status, awaited: awaited.clone(), log: self.log_tail() });
                }
            }
        };
        match timeout(deadline, wait).await {
            Ok(done) => done,
            Err(_) => Err(Error::Deadline { awaited, after: deadline, log: self.log_tail() }),
        }
    }

    /// Asks it to end.
    pub fn sigterm(&self) -> Result<(), Error> {
        self.signal(Signal::TERM)
    }

    /// Sends any signal.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        // Once reaped, the number may belong to somebody else.
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or_else(|| Error::Io("signal the child", io::ErrorKind::NotFound.into()))?;
        kill_process(pid, signal).map_err(|errno| Error::Io("signal the child", errno.into()))
    }

    /// Waits for its end.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus, Error> {
        if let Ok(ended) = timeout(deadline, self.child.wait()).await {
            return ended.map_err(|error| Error::Io("wait for the child", error));
        }
        let awaited = "end of the child".to_owned();
        Err(Error::Deadline { awaited, after: deadline, log: self.log_tail() })
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub async fn kill_9(&mut self) -> Result<ExitStatus, Error> {
        self.child.start_kill().map_err(|error| Error::Io("kill the child", error))?;
        self.wait(REAP).await
    }

    async fn shows(&self, sign: &Ready) -> Result<bool, Error> {
        match sign {
            Ready::Line(text) => Ok([self.stdout()?, self.stderr()?].iter().any(|log| log.contains(text))),
            Ready::Socket(path) => Ok(UnixStream::connect(path).await.is_ok()),
            // Refused, cut short, not 200: all of them mean "not yet".
            Ready::Http(addr, path) => Ok(answers_200(*addr, path).await.unwrap_or(false)),
        }
    }

    fn log_tail(&self) -> String {
        let log = self.stderr().unwrap_or_else(|error| error.to_string());
        let skip = log.chars().count().saturating_sub(TAIL);
        log.chars().skip(skip).collect()
    }
}

async fn answers_200(addr: SocketAddr, path: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(status.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(folder: &Path, script: &str) -> Daemon {
        Daemon::spawn(Path::new("/bin/sh"), folder, ["-c", script]).unwrap()
    }

    #[tokio::test]
    async fn a_child_that_prints_its_line_is_ready_and_ends_on_sigterm() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Spawn::new(Path::new("/bin/sh"), folder.path())
            .args(["-c", "echo \"$GREETING\" >&2; exec tail -f /dev/null"])
            .env("GREETING", "ready for work")
            .start()
            .unwrap();
        child.ready(&Ready::Line("ready for".into()), SOON).await.unwrap();
        assert_eq!(child.stderr().unwrap().lines().next(), Some("ready for work"));
        assert_eq!(child.stdout().unwrap(), "");
        assert!(child.vitals().rss_kib().unwrap() > 0);
        child.sigterm().unwrap();
        let status = child.wait(SOON).await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
        assert!(child.sigterm().is_err(), "a reaped child is not signalled");
    }

    #[tokio::test]
    async fn a_child_that_dies_early_shows_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = shell(folder.path(), "echo no such key >&2; exit 3");
        let error = child.ready(&Ready::Line("never".into()), SOON).await.unwrap_err();
        let Error::Exited { status, log, .. } = error else { panic!("{error}") };
        assert_eq!((status.code(), log.as_str()), (Some(3), "no such key\n"));
    }

    #[tokio::test]
    async fn a_restarted_child_is_not_ready_by_its_first_life() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = shell(folder.path(), "echo up; exec tail -f /dev/null");
        first.ready(&Ready::Line("up".into()), SOON).await.unwrap();
        let status = first.kill_9().await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        let mut second = shell(folder.path(), "exec tail -f /dev/null");
        let error = second.ready(&Ready::Line("up".into()), Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(folder.path().join("stdout")).unwrap(), "up\n");
    }

    #[tokio::test]
    async fn a_socket_and_an_http_answer_are_signs_of_readiness() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = shell(folder.path(), "exec tail -f /dev/null");
        let path = folder.path().join("admin.sock");
        let socket = tokio::net::UnixListener::bind(&path).unwrap();
        child.ready(&Ready::Socket(path.clone()), SOON).await.unwrap();
        drop(socket);
        let gone = child.ready(&Ready::Socket(path), Duration::from_millis(50)).await;
        assert!(matches!(gone, Err(Error::Deadline { .. })));

        let http = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = http.local_addr().unwrap();
        let server = tokio::spawn(async move {
            for status in ["503 Not yet", "200 OK"] {
                let (mut stream, _) = http.accept().await.unwrap();
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
            }
        });
        child.ready(&Ready::Http(addr, "/readyz".into()), SOON).await.unwrap();
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Daemon::spawn(Path::new("/no/such"), folder.path(), ["x"]).unwrap_err();
        assert_eq!(error.to_string(), "start /no/such");
    }
}
