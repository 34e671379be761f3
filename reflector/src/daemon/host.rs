//! What the host gives: descriptors, sockets, whether this is a pod.

use std::net::{SocketAddr, TcpListener as StdListener};

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::engine::door::Doors;
use crate::engine::door::post::Post;
use crate::selftest::{Limits, raise_to};

/// Sockets the kernel may hold for us before accept: more than a burst of half-open places.
const BACKLOG: i32 = 1024;

/// Raises the soft limit on descriptors as far as we need and the hard limit allows.
pub(super) fn raise_descriptor_limit() {
    let now = getrlimit(Resource::Nofile);
    let limits = Limits { soft: now.current.unwrap_or(u64::MAX), hard: now.maximum.unwrap_or(u64::MAX) };
    let wanted = raise_to(limits);
    if wanted == limits.soft {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum }) {
        Ok(()) => tracing::debug!(from = limits.soft, to = wanted, "raised the limit on open files"),
        Err(error) => tracing::warn!(%error, limit = limits.soft, "could not raise the limit on open files"),
    }
}

/// A kubelet sets this in every container.
#[expect(clippy::disallowed_methods, reason = "the one place that asks whether this is a pod")]
pub(crate) fn in_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

/// Attempts to find a port that is free on both protocols, when any will do.
const ANY_PORT: u32 = 16;

/// Binds the control listener and, with doors, the socket for datagrams beside it.
pub(super) fn control_port(
    address: SocketAddr,
    doors: Option<&Doors>,
) -> Result<(TcpListener, Option<Post>)> {
    let what = "control connections";
    let mut attempt = 1;
    loop {
        let listener = listen(address, what)?;
        let Some(doors) = doors else { return Ok((listener, None)) };
        let bound = listener.local_addr()?;
        match Post::bind(bound, doors) {
            Ok(post) => return Ok((listener, Some(post))),
            Err(error) if address.port() == 0 && attempt < ANY_PORT => {
                tracing::debug!(%error, port = bound.port(), "taken for datagrams: trying another port");
                attempt += 1;
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "listen for datagrams on {bound}: is another process using UDP port {}?",
                        bound.port()
                    )
                });
            }
        }
    }
}

/// Binds a listener; `[::]` takes IPv4 too, whatever the host's default.
pub(super) fn listen(address: SocketAddr, what: &str) -> Result<TcpListener> {
    let bind = || -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        // A restart must not wait for old connections in TIME_WAIT. It does not let two reflectors share a port.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(StdListener::from(socket))
    };
    bind().with_context(|| format!("listen for {what} on {address}: is another process using the port?"))
}
