//! Echo servers without a session, played by this program again: each prints its address and answers until it is killed.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::Result;
use reflector::engine::echo::accept::{Proof, Terms};
use reflector::engine::echo::calm::Calm;
use reflector::engine::echo::responder::{Intake, Responder, Schedule, Setup};
use reflector::engine::echo::socket;
use reflector::engine::purse::Unlimited;
use tokio::net::UdpSocket;

/// The loop everybody writes first.
pub(crate) async fn tokio_loop() -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    println!("{}", socket.local_addr()?);
    let mut buffer = vec![0; 9000];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..length], from).await?;
    }
}

/// Our engine on a data port, with a rate that no policy could allow.
pub(crate) async fn engine() -> Result<()> {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let socket = socket::open((here, 0).into(), here)?;
    println!("{}", socket.local_addr()?);
    let setup = Setup {
        terms: Terms { proof: Proof::Address, peer: here, max_pps: u32::MAX },
        intake: Intake::Port(socket),
        purse: Arc::new(Unlimited),
        calm: Calm::default(),
        schedule: Schedule::Beside,
        drops: Arc::default(),
    };
    let finished = Responder::start(setup)?.finished().await;
    anyhow::bail!("the echo engine ended: {finished:?}")
}
