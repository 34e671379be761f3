//! A tunnel that swallows: what does not come out of it in time is said to be the tunnel's, wherever it is said.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::person::{BUSY, Person, err, phase};

/// Longer than an echo is waited for.
const HELD: Duration = Duration::from_secs(3);
/// What comes back on the stream of echo, and on no other: so many small pieces in a row.
const SMALL: usize = 200;
const IN_A_ROW: usize = 50;

/// Hands every connection on, and holds the answers of the echo's once.
async fn holding(to: SocketAddr) -> SocketAddr {
    // A grant names a port, which is looked for where the control connection went: the same one at another address.
    let at = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), to.port());
    let listener = TcpListener::bind(at).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(to).await.unwrap();
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let (mut from_near, to_near) = near.into_split();
            let (from_far, mut to_far) = far.into_split();
            tokio::spawn(async move {
                let _ended = tokio::io::copy(&mut from_near, &mut to_far).await;
                to_far.shutdown().await
            });
            tokio::spawn(back(from_far, to_near));
        }
    });
    at
}

async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
    let (mut buffer, mut small, mut held) = ([0; 16 * 1024], 0, false);
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        small = if count < SMALL { small + 1 } else { 0 };
        if small == IN_A_ROW && !held {
            held = true;
            tokio::time::sleep(HELD).await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}

/// X8
#[tokio::test(flavor = "multi_thread")]
async fn echoes_that_came_too_late_through_a_tunnel_are_nowhere_called_a_loss_of_the_network() {
    let person = Person::paired(BUSY).await;
    let at = holding(person.bed.addr).await;
    let page = person.home.path().join("result.html");
    let address = format!("{}@{at}", person.bed.endpoint_id);
    let args = ["--tunnel", "-t", "4", "--down", "-P", "1", "--json", "--html", page.to_str().unwrap()];
    let command = person.command(&address, &args);
    let output = tokio::process::Command::from(command).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let down = phase(&result, "down");
    assert_eq!(down["mode"], "tunneled");
    let echoes = [&down["echo_idle"], &down["echo_loaded"]];
    let of = |echo: &Value, key: &str| echo[key].as_u64().unwrap();
    let lost: u64 = echoes.iter().map(|echo| of(echo, "sent") - of(echo, "n")).sum();
    assert!(lost > 10, "{lost} of {echoes:?}");
    assert!(echoes.iter().all(|echo| echo["lost_in"] == "tunnel"), "{echoes:?}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains(" in the tunnel;"), "the page says whose loss it was");
    let signals = down["limit"]["evidence"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_seen = |name: &str| signals.iter().any(|signal| signal["signal"] == name);
    assert!(!is_seen("udp_lost_percent"), "{}", down["limit"]);
    // On a busy machine TCP itself sends again on the way to the relay: that is a loss, and rightly called so.
    if is_seen("retransmit_percent") {
        return;
    }
    for words in ["loss on the path", "\"cause\": \"loss\"", "&quot;cause&quot;: &quot;loss&quot;"] {
        assert!(!page.contains(words), "{words}: {}", down["limit"]);
    }
    assert_ne!(down["limit"]["cause"], "loss");
}
