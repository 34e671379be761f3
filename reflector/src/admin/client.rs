//! Asks the running server one question. Blocking, with one deadline over everything.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Request, Response};
use crate::clock;

/// How long an answer may take. The longest the server waits on our behalf is half of it.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Longest answer: ten thousand peers with the longest names fit twice.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("the reflector is not running (no socket at {}): start it with `reflector serve`", path.display())]
    NotRunning {
        /// Where we looked.
        path: PathBuf,
    },
    /// The socket is somebody else's.
    #[error(
        "not allowed to open the admin socket {}: it belongs to {owner}; run this as that user, \
         for example with `sudo -u {owner} reflector …`",
        path.display()
    )]
    Denied {
        /// The socket.
        path: PathBuf,
        /// Who may.
        owner: String,
    },
    /// Silence.
    #[error(
        "the reflector did not answer on {} within {} s; if it stays so, look at its log and restart it",
        path.display(),
        DEADLINE.as_secs()
    )]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// Not an answer of ours.
    #[error(
        "the reflector on {} answered something else than expected ({problem}); \
         is it of the same version as this program?",
        path.display()
    )]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// What was wrong with it.
        problem: String,
    },
    /// Anything else.
    #[error("talk to the reflector on {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// Sends `request` to the server at `socket` and waits for its answer.
pub fn ask(socket: &Path, request: &Request) -> Result<Response, AskError> {
    ask_within(socket, request, DEADLINE)
}

fn ask_within(socket: &Path, request: &Request, deadline: Duration) -> Result<Response, AskError> {
    let foreign = |problem: String| AskError::Foreign { path: socket.to_path_buf(), problem };
    let mut line = serde_json::to_vec(request).map_err(|e| foreign(e.to_string()))?;
    line.push(b'\n');
    let answer = exchange(socket, &line, deadline).map_err(|source| explain(socket, source))?;
    match answer.strip_suffix(b"\n") {
        Some(line) => serde_json::from_slice(line).map_err(|e| foreign(e.to_string())),
        None if answer.len() >= LONGEST_ANSWER => Err(foreign("an endless line".to_owned())),
        None => Err(foreign("it hung up in the middle".to_owned())),
    }
}

/// One line each way. The answer ends with its newline, unless the other side hung up or never stops.
fn exchange(socket: &Path, line: &[u8], deadline: Duration) -> io::Result<Vec<u8>> {
    let start = clock::now().mono_ms;
    let left = || {
        let spent = Duration::from_millis(clock::now().mono_ms.saturating_sub(start));
        match deadline.saturating_sub(spent) {
            Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
            left => Ok(Some(left)),
        }
    };
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(left()?)?;
    stream.write_all(line)?;
    let (mut answer, mut chunk) = (Vec::new(), [0u8; 16 * 1024]);
    while !answer.ends_with(b"\n") && answer.len() < LONGEST_ANSWER {
        stream.set_read_timeout(left()?)?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(answer)
}

fn explain(socket: &Path, source: io::Error) -> AskError {
    let path = socket.to_path_buf();
    match source.kind() {
        // A socket file without a listener is what `kill -9` leaves behind.
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning { path },
        io::ErrorKind::PermissionDenied => AskError::Denied { owner: owner(socket), path },
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => AskError::Silent { path },
        _ => AskError::Io { path, source },
    }
}

/// Who owns the socket, or the folder that hides it.
fn owner(socket: &Path) -> String {
    let mut uids = socket.ancestors().filter_map(|path| fs::metadata(path).ok()).map(|found| found.uid());
    let Some(uid) = uids.next() else { return "another user".to_owned() };
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    user_name(&users, uid).map_or_else(|| format!("#{uid}"), str::to_owned)
}

/// The name of a user in the lines of `/etc/passwd`. sudo understands `#uid` for everyone else.
fn user_name(users: &str, uid: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// A server that answers one question with `answer` and hangs up.
    fn server(answer: &'static [u8]) -> (tempfile::TempDir, PathBuf, thread::JoinHandle<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let task = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut question).unwrap();
            stream.write_all(answer).unwrap();
            question
        });
        (dir, path, task)
    }

    #[test]
    fn one_line_is_asked_and_one_line_answered() {
        let (_dir, path, task) = server(b"{\"answer\":\"ok\"}\n");
        assert_eq!(ask(&path, &Request::ClosePairing).unwrap(), Response::Ok);
        assert_eq!(task.join().unwrap(), "{\"command\":\"close_pairing\"}\n");
    }

    #[test]
    fn a_missing_or_dead_socket_says_how_to_start_the_reflector() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let missing = ask(&path, &Request::Status).unwrap_err();
        assert!(missing.to_string().contains("is not running (no socket at "), "{missing}");
        assert!(missing.to_string().ends_with("start it with `reflector serve`"), "{missing}");
        drop(UnixListener::bind(&path).unwrap());
        assert!(matches!(ask(&path, &Request::Status), Err(AskError::NotRunning { .. })));
    }

    #[test]
    fn a_silent_server_is_not_waited_for_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let error = ask_within(&path, &Request::Status, Duration::from_millis(30)).unwrap_err();
        assert!(matches!(error, AskError::Silent { .. }), "{error}");
    }

    #[test]
    fn half_an_answer_and_a_foreign_answer_are_no_answer() {
        for answer in [&b"{\"answer\":"[..], b"", b"220 mail ready\n", b"{\"answer\":\"riddle\"}\n"] {
            let (_dir, path, task) = server(answer);
            let error = ask(&path, &Request::Status).unwrap_err();
            assert!(matches!(error, AskError::Foreign { .. }), "{error}");
            task.join().unwrap();
        }
    }

    #[test]
    fn a_socket_of_somebody_else_names_its_owner() {
        let denied = explain(Path::new("/proc/1/x"), io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(denied.to_string().contains("belongs to root; run this as that user"), "{denied}");
        assert_eq!(
            user_name("root:x:0:0::/root:/bin/sh\nreflector:x:990:990::/:/x\n", 990),
            Some("reflector")
        );
        assert_eq!(user_name("garbage\n:\n", 990), None);
    }
}
