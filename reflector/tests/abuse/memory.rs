//! What announcing costs the reflector: nothing.

use std::fs;

use e2e::appliance::{Appliance, Connection, Key};
use serde_json::Value;

use super::{Bed, Good, error, last_words, loopback};

/// Far less than is announced in any row here, and more than TLS for a few dozen connections takes.
const RESIDENT_KIB: u64 = 16 * 1024;
/// Address space costs nothing, and each thread's allocator takes 64 MiB of it; 4 GiB would show.
const ADDRESS_SPACE_KIB: u64 = 1024 * 1024;

struct Peak {
    resident: u64,
    address_space: u64,
}

fn peak(bed: &Bed) -> Peak {
    let status = fs::read_to_string(format!("/proc/{}/status", bed.daemon.pid())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    Peak { resident: field("VmHWM:"), address_space: field("VmPeak:") }
}

/// P1
#[tokio::test]
async fn four_gibibytes_announced_cost_nothing() {
    let bed = Bed::start().await;
    let good = Good::of(&bed);
    good.gets_through().await;
    let (key, first) = bed.appliance("liar").await;
    let before = peak(&bed);
    let mut liars = vec![first];
    for n in 2..=8 {
        liars.push(Appliance::builder(key.clone()).bind(loopback(n)).open(bed.addr).await.unwrap().0);
    }
    for n in 2..=17 {
        let stranger = Appliance::builder(Key::generate()).bind(loopback(n));
        liars.push(stranger.connect(bed.addr).await.unwrap());
    }
    let answers = good.during(announce(&mut liars)).await;
    let of = |limit: u32| {
        let message =
            format!("a frame of 4294967295 bytes is too large: send at most {limit} bytes of payload");
        error("", 400, &message)
    };
    assert_eq!(answers[..8], vec![of(1_048_576); 8]);
    assert_eq!(answers[8..], vec![of(4096); 16]);

    // As much as may be announced, by as many as may; what came of it is all that is kept.
    let mut holders = Vec::new();
    for n in 1..=8 {
        let mut holder = Appliance::builder(key.clone()).bind(loopback(n)).open(bed.addr).await.unwrap().0;
        holder.send_raw(&1_048_576_u32.to_be_bytes()).await.unwrap();
        holder.send_raw(&[b' '; 1000]).await.unwrap();
        holders.push(holder);
    }
    good.gets_through().await;
    let after = peak(&bed);
    let grown = after.resident - before.resident;
    assert!(grown < RESIDENT_KIB, "{grown} KiB more are resident");
    let grown = after.address_space - before.address_space;
    assert!(grown < ADDRESS_SPACE_KIB, "{grown} KiB more of address space");
}

async fn announce(liars: &mut [Connection]) -> Vec<Value> {
    let mut answers = Vec::new();
    for liar in liars {
        liar.send_raw(&u32::MAX.to_be_bytes()).await.unwrap();
        answers.push(last_words(liar).await);
    }
    answers
}
