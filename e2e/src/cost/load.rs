//! What appliances and strangers do to a reflector.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::{Appliance, Connection, Key, raw};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// A code that was never drawn: the right one is hidden among 2^40.
const WRONG: &str = "00000000";
/// Wrong codes of one source: as many as are looked at in a minute.
const CODES_PER_SOURCE: u32 = 5;
/// Half-open connections of one source: as many as it may have.
const HALF_OPEN_PER_SOURCE: u32 = 16;
/// The first byte of a TLS record: enough to be taken for somebody who begins a handshake.
const FIRST_BYTE: u8 = 0x16;

/// So many connections of each key, all past their hello and then silent.
pub(super) async fn connections(addr: SocketAddr, keys: &[Key], each: usize) -> Result<Vec<Connection>> {
    let mut open = Vec::new();
    for key in keys {
        for _ in 0..each {
            let (connection, _) = Appliance::builder(key.clone()).open(addr).await?;
            open.push(connection);
        }
    }
    Ok(open)
}

/// So many strangers, one after another, each with a wrong code. `from` numbers the first source.
pub(super) async fn wrong_codes(addr: SocketAddr, from: u32, count: u32) -> Result<()> {
    for number in 0..count {
        let stranger = Appliance::builder(Key::generate()).bind(source(from + number / CODES_PER_SOURCE));
        let (mut connection, _) = stranger.open(addr).await.context("a stranger with a code")?;
        let answer = connection.pair(WRONG).await?;
        ensure!(answer["success"] == false, "a made-up code was accepted: {answer}");
        connection.close().await?;
    }
    Ok(())
}

/// So many sockets that begin a handshake and say no more.
pub(super) async fn half_open(addr: SocketAddr, count: u32) -> Result<Vec<TcpStream>> {
    let mut open = Vec::new();
    for number in 0..count {
        let mut socket = raw::connect(addr, Some(source(number / HALF_OPEN_PER_SOURCE))).await?;
        socket.write_all(&[FIRST_BYTE]).await?;
        open.push(socket);
    }
    Ok(open)
}

/// On Linux all of 127.0.0.0/8 is ours.
fn source(number: u32) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + number).into()
}
