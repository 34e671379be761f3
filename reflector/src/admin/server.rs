//! The server side of the admin socket: a Unix socket only its owner may open. One line in, one line out.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::BoxFuture;

use super::protocol::{Request, Response};

/// A request is a few dozen bytes. Test: `nonsense_and_a_line_that_never_ends_is_refused`.
const MAX_LINE: u64 = 4096;
/// The CLI writes its line at once. Test: `a_silent_client_is_let_go` (paused clock).
const READ: Duration = Duration::from_secs(5);
/// Administrators run one command at a time; a script may run a few.
const MAX_CLIENTS: usize = 16;

/// Whoever can answer.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. Has its own deadline where it waits.
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<Response>;
}

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Someone answers on it.
    #[error("another reflector answers on {}: stop it first, or give this one its own key folder", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// A file that is no socket stands there.
    #[error("{} exists and is no socket: move it away or set network.admin_socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What we were doing.
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// The bound socket; removes its file on drop.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Binds `path`, mode 0600. A socket a crash left behind is replaced; one that answers is not.
    pub async fn bind(path: &Path) -> Result<Self, AdminError> {
        let io = |action| move |source| AdminError::Io { action, path: path.into(), source };
        match fs::symlink_metadata(path) {
            Ok(meta) if !meta.file_type().is_socket() => {
                return Err(AdminError::NotASocket { path: path.into() });
            }
            Ok(_) => match UnixStream::connect(path).await {
                // Only this says that nobody listens: a full backlog or a missing right may hide a living reflector.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(io("remove stale admin socket"))?;
                }
                Err(e) => return Err(io("ask who listens on admin socket")(e)),
                Ok(_) => return Err(AdminError::InUse { path: path.into() }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(io("look at admin socket")(e)),
        }
        // Bound under a name nobody knows and renamed once its mode is right: there is no instant at which others
        // could connect, and no process-wide umask to change under running threads.
        let staged = staged_name(path);
        match fs::remove_file(&staged) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io("remove stale admin socket")(e)),
            _ => {}
        }
        let listener = UnixListener::bind(&staged).map_err(io("bind admin socket"))?;
        fs::set_permissions(&staged, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&staged, path))
            .map_err(io("put admin socket in place"))?;
        Ok(Self { listener, path: path.into() })
    }

    /// Answers until cancelled. Running answers are finished; whoever owns this task bounds for how long.
    pub async fn serve(self, handler: Arc<dyn Handler>, cancel: CancellationToken) {
        let tasks = TaskTracker::new();
        let places = Arc::new(Semaphore::new(MAX_CLIENTS));
        loop {
            let accepted = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                place = places.clone().acquire_owned() => match place {
                    Ok(place) => tokio::select! {
                        biased;
                        () = cancel.cancelled() => break,
                        accepted = self.listener.accept() => accepted.map(|(stream, _)| (stream, place)),
                    },
                    Err(_) => break,
                },
            };
            match accepted {
                Ok((stream, place)) => {
                    let handler = Arc::clone(&handler);
                    tasks.spawn(async move {
                        if let Err(error) = answer(stream, handler).await {
                            tracing::debug!(%error, "admin client went away");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept on admin socket");
                    pause().await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "accept() failed for want of descriptors: no event says when they are back"
)]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "remove admin socket");
        }
    }
}

fn staged_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".new");
    PathBuf::from(name)
}

async fn answer(stream: UnixStream, handler: Arc<dyn Handler>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.take(MAX_LINE));
    let mut line = String::new();
    let response = match timeout(READ, reader.read_line(&mut line)).await {
        Err(_) | Ok(Ok(0)) => return Ok(()),
        Ok(Err(error)) => return Err(error),
        Ok(Ok(_)) if !line.ends_with('\n') => {
            Response::Error { message: format!("a request is one line of at most {MAX_LINE} bytes") }
        }
        Ok(Ok(_)) => match serde_json::from_str::<Request>(&line) {
            Ok(request) => handler.handle(request).await,
            Err(error) => Response::Error {
                message: format!(
                    "the running reflector ({}) does not know this command ({error}): restart it so that both are of one version",
                    env!("CARGO_PKG_VERSION")
                ),
            },
        },
    };
    let mut text = serde_json::to_vec(&response).map_err(io::Error::other)?;
    text.push(b'\n');
    let mut stream = reader.into_inner().into_inner();
    timeout(READ, stream.write_all(&text)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    struct Echo;
    impl Handler for Echo {
        fn handle(self: Arc<Self>, request: Request) -> BoxFuture<Response> {
            Box::pin(async move { Response::Error { message: format!("{request:?}") } })
        }
    }

    async fn ask(path: &Path, text: &[u8]) -> String {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(text).await.unwrap();
        let mut out = String::new();
        timeout(Duration::from_secs(5), stream.read_to_string(&mut out)).await.unwrap().unwrap();
        out
    }

    /// A2
    #[tokio::test]
    async fn the_socket_is_its_owners_alone_and_goes_with_its_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let socket = AdminSocket::bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let cancel = CancellationToken::new();
        let task = tokio::spawn(socket.serve(Arc::new(Echo), cancel.clone()));
        assert!(ask(&path, b"{\"command\":\"status\"}\n").await.contains("Status"));
        assert!(matches!(AdminSocket::bind(&path).await, Err(AdminError::InUse { .. })));
        cancel.cancel();
        task.await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_left_by_a_crash_is_replaced_but_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(AdminSocket::bind(&path).await.unwrap());
        fs::write(&path, "precious").unwrap();
        assert!(matches!(AdminSocket::bind(&path).await, Err(AdminError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_silent_client_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let cancel = CancellationToken::new();
        let task =
            tokio::spawn(AdminSocket::bind(&path).await.unwrap().serve(Arc::new(Echo), cancel.clone()));
        let mut silent = Vec::new();
        for _ in 0..MAX_CLIENTS {
            silent.push(UnixStream::connect(&path).await.unwrap());
        }
        tokio::time::pause();
        let mut answer = Vec::new();
        for mut client in silent {
            client.read_to_end(&mut answer).await.unwrap();
        }
        assert_eq!(answer, b"");
        tokio::time::resume();
        assert!(
            ask(&path, b"{\"command\":\"status\"}\n").await.contains("Status"),
            "the places are free again"
        );
        cancel.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn nonsense_and_a_line_that_never_ends_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let cancel = CancellationToken::new();
        let task =
            tokio::spawn(AdminSocket::bind(&path).await.unwrap().serve(Arc::new(Echo), cancel.clone()));
        assert!(ask(&path, b"{\"command\":\"dance\"}\n").await.contains("does not know this command"));
        assert!(ask(&path, &[b'x'; 4096]).await.contains("at most 4096"));
        cancel.cancel();
        task.await.unwrap();
    }
}
