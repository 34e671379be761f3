//! One TCP stream of a test between loopback and tunnel, on a plain thread: iperf3 sends each one way only.
//!
//! What it cannot do is tell loopback's congestion from the path's: a stream is as fast as the slower of both.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::engine::tunnel::{Blocking, TunnelStream};

/// Moved at once: a batch of records.
const CHUNK: usize = 256 * 1024;

/// Which way the bytes of a stream go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Into the tunnel.
    Up,
    /// Out of it.
    Down,
}

/// A running stream. Dropping it ends both connections and its thread.
pub(super) struct Pump {
    local: Arc<TcpStream>,
    tunnel: Arc<TcpStream>,
    thread: Option<JoinHandle<()>>,
}

impl Pump {
    /// Both connections are past their cookies.
    pub(super) fn start(local: tokio::net::TcpStream, tunnel: TunnelStream, way: Way) -> io::Result<Self> {
        let local = Arc::new(local.into_std()?);
        local.set_nonblocking(false)?;
        let blocking = tunnel.into_blocking()?;
        let socket = Arc::clone(blocking.tcp());
        let near = Arc::clone(&local);
        let thread = std::thread::Builder::new().name("forward".to_owned()).spawn(move || {
            let outcome = match way {
                Way::Up => up(&near, blocking),
                Way::Down => down(&near, blocking),
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, ?way, "a forwarded stream ended");
                // Its client would wait for bytes that cannot come.
                let _ = near.shutdown(Shutdown::Both);
            }
        })?;
        Ok(Self { local, tunnel: socket, thread: Some(thread) })
    }
}

fn up(mut local: &TcpStream, mut tunnel: Blocking) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = local.read(&mut buffer)?;
        let mut left = buffer.get(..count).unwrap_or_default();
        if left.is_empty() {
            return tunnel.close();
        }
        while !left.is_empty() {
            let taken = tunnel.send(left)?;
            left = left.get(taken..).unwrap_or_default();
        }
    }
}

fn down(mut local: &TcpStream, mut tunnel: Blocking) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match tunnel.read(&mut buffer)? {
            0 => return local.shutdown(Shutdown::Write),
            count => local.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        for socket in [&self.local, &self.tunnel] {
            // Fails when the other side was faster.
            let _ = socket.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            // At once: its calls ended with the sockets. A panic was printed by its thread.
            let _ = thread.join();
        }
    }
}
