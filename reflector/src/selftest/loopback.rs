//! Moves bytes over 127.0.0.1 as a test would: four TCP streams, each with a thread on either end.
//!
//! Every thread is joined and every socket closed when [`measure`] returns, whatever happened.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::host::{Error, Measured};

/// Long enough for TCP to open its windows many times over.
pub(super) const FULL: Duration = Duration::from_secs(3);
/// Enough to see that bytes flow.
pub(super) const QUICK: Duration = Duration::from_millis(150);

/// An appliance's own tests use four.
const STREAMS: usize = 4;
/// What iperf3 writes at a time.
const BUFFER: usize = 128 * 1024;
/// No single call on loopback takes this long unless something is broken: the whole check is bounded by it.
const STUCK: Duration = Duration::from_secs(1);
/// Connections of other local programs to our port that we put up with.
const MAX_STRANGERS: usize = 16;

/// Mbit/s that arrived, all streams together.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock around what it measures")]
pub(super) fn measure(duration: Duration) -> Measured<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed("listen on 127.0.0.1"))?;
    let pairs = (0..STREAMS).map(|_| pair(&listener)).collect::<Measured<Vec<_>>>()?;
    drop(listener);
    let start = Instant::now();
    let deadline = start + duration;
    let received = thread::scope(|scope| {
        let mut ends = Vec::with_capacity(2 * STREAMS);
        for (sender, receiver) in pairs {
            // When one of the two cannot be spawned its socket is dropped, which ends the other.
            let spawn = |name: &str, work: Box<dyn FnOnce() -> Measured<u64> + Send>| {
                thread::Builder::new()
                    .name(name.to_owned())
                    .spawn_scoped(scope, work)
                    .map_err(failed("start a thread"))
            };
            ends.push(spawn("selftest-recv", Box::new(move || receive(receiver)))?);
            ends.push(spawn("selftest-send", Box::new(move || send(sender, deadline)))?);
        }
        ends.into_iter().try_fold(0_u64, |sum, end| {
            let bytes = end.join().unwrap_or(Err(Error::Internal))?;
            Ok(sum.saturating_add(bytes))
        })
    })?;
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "2^53 bytes do not fit into three seconds")]
    let megabits = received as f64 * 8.0 / 1e6;
    Ok(megabits / seconds)
}

/// Both ends of one connection. Another program may connect to our port first: it is hung up on.
fn pair(listener: &TcpListener) -> Measured<(TcpStream, TcpStream)> {
    let address = listener.local_addr().map_err(failed("listen on 127.0.0.1"))?;
    // Linux applies the receive timeout to accept().
    SockRef::from(listener).set_read_timeout(Some(STUCK)).map_err(failed("set a timeout"))?;
    let near = TcpStream::connect_timeout(&address, STUCK).map_err(failed("connect to 127.0.0.1"))?;
    let own = near.local_addr().map_err(failed("connect to 127.0.0.1"))?;
    let far = accept(listener, own).map_err(failed("accept on 127.0.0.1"))?;
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(STUCK)).map_err(failed("set a timeout"))?;
        stream.set_write_timeout(Some(STUCK)).map_err(failed("set a timeout"))?;
    }
    Ok((near, far))
}

fn accept(listener: &TcpListener, expected: SocketAddr) -> io::Result<TcpStream> {
    for _ in 0..=MAX_STRANGERS {
        let (stream, from) = listener.accept()?;
        if from == expected {
            return Ok(stream);
        }
    }
    Err(io::Error::other("other programs keep connecting to the test's port"))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock around what it measures")]
fn send(mut stream: TcpStream, deadline: Instant) -> Measured<u64> {
    let buffer = vec![0x5a_u8; BUFFER];
    while Instant::now() < deadline {
        stream.write_all(&buffer).map_err(failed("send over loopback"))?;
    }
    // Counted by the receiver: a byte counts when it has arrived.
    Ok(0)
}

fn receive(mut stream: TcpStream) -> Measured<u64> {
    let mut buffer = vec![0_u8; BUFFER];
    let mut total = 0_u64;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(bytes) => total = total.saturating_add(bytes as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Io { action: "receive over loopback", source }),
        }
    }
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io { action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_move_and_the_rate_is_a_number() {
        let mbps = measure(Duration::from_millis(30)).unwrap();
        assert!(mbps.is_finite() && mbps > 0.0, "{mbps}");
    }

    /// Red when the first connection that comes is taken for ours.
    #[test]
    fn a_stranger_on_the_port_is_hung_up_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stranger = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, far) = pair(&listener).unwrap();
        assert_eq!(far.peer_addr().unwrap(), near.local_addr().unwrap());
        stranger.set_read_timeout(Some(STUCK)).unwrap();
        assert!(matches!(stranger.read(&mut [0; 1]), Ok(0) | Err(_)), "the stranger is still connected");
    }

    /// Red when the receiver waits for ever for a sender that says nothing.
    #[test]
    fn a_silent_sender_is_an_error_within_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_silent, far) = pair(&listener).unwrap();
        assert!(receive(far).unwrap_err().to_string().starts_with("receive over loopback"));
    }
}
