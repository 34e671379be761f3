//! Stock against stock: proves that the harness finds what it looks for, before ours stands in one of the places.

use std::net::{IpAddr, Ipv4Addr};

use super::cases::{End, MATRIX};
use super::programs;
use super::run::Server;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A stock pair passes what ours has to pass: what fails here is the harness.
#[tokio::test]
async fn a_stock_pair_passes_every_case_that_has_no_server_of_ours() {
    let mut wrong = Vec::new();
    for program in programs::all() {
        let cases = MATRIX.iter().filter(|case| case.end != End::Frozen && (super::long() || case.basic));
        for case in cases.filter(|case| case.ends_with(&program.version)) {
            let server = Server::start(&program, HERE).await;
            let told = program.client(server.address, &case.args()).await;
            let judged = told.and_then(|told| case.judge(&told));
            if let Err(what) = judged.and(server.end().await) {
                wrong.push(format!("{} {}: {what}", program.version, case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A client that nobody answers is a failure, whatever its exit code is.
#[tokio::test]
async fn a_refused_client_is_no_result() {
    for program in programs::all() {
        let nobody = std::net::TcpListener::bind((HERE, 0)).unwrap().local_addr().unwrap();
        let told = program.client(nobody, &["-t".into(), "1".into()]).await;
        assert!(told.is_err(), "{}: {told:?}", program.version);
    }
}
