//! The three scenes. Each has a process of its own, so that none hides in memory another one has used.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use e2e::appliance::Key;
use e2e::vitals::Vitals;

use super::scene::Scene;
use super::table::{Row, Table};
use super::{load, watch};

/// Resident memory with nobody there.
const IDLE_KIB: u64 = 15 * 1024;
/// Resident memory with [`PEERS`] × [`EACH`] idle connections.
const CONNECTED_KIB: u64 = 25 * 1024;
const PEERS: usize = 8;
/// As many as one identity may have.
const EACH: usize = 8;
/// Wake-ups a second, of all threads, while nothing happens.
const WAKE_UPS: f64 = 1.0;
/// CPU time in [`watch::WINDOW`]: a thousandth of it.
const CPU: Duration = Duration::from_millis(20);
/// Codes before the first look at memory: the code that handles them is paged in once and stays.
const WARM_UP_CODES: u32 = 200;
const CODES: u32 = 1000;
const HALF_OPEN: u32 = 500;
/// Of them at most so many are kept at a time.
const HALF_OPEN_KEPT: usize = 256;
/// What the allocator may keep of what was freed and not yet reused.
const CODES_NOISE_KIB: u64 = 256;
/// What any wave of them may leave: stacks and tables that are used for the first time and stay, and pages that hold
/// something else too. Fifteen waves left 0.9 to 2.1 MiB, without a trend; kept by the allocator it would be 6 MiB.
const HALF_OPEN_KIB: u64 = 3 * 1024;
/// More than one: what is kept after each would add up.
const WAVES: [&str; 3] = ["once", "twice", "three times"];

/// Measures everything, in about two minutes, most of them waiting for nothing to happen. The scenes run at the same time:
/// each looks at its own process only, and at nothing that depends on how fast the machine is.
pub(super) async fn all(program: &Path) -> Result<Table> {
    let scenes = tokio::try_join!(idle_and_connected(program), codes(program), half_open(program))?;
    Ok([scenes.0, scenes.1, scenes.2].into_iter().flatten().collect())
}

async fn idle_and_connected(program: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let keys: Vec<Key> = std::iter::repeat_with(Key::generate).take(PEERS).collect();
    let scene = Scene::start(program, &keys).await?;
    let vitals = scene.vitals();
    watch::settled(vitals).await?;
    let descriptors = vitals.open_fds()?;
    rows.push(Row::below("memory, idle", vitals.rss_kib()?, IDLE_KIB, "KiB"));
    rows.push(Row::told("of it private", vitals.private_kib()?, "KiB"));
    rows.push(Row::told("threads, idle", vitals.threads()? as u64, ""));
    rest(vitals, "idle", &mut rows).await?;

    let open = load::connections(scene.addr, &keys, EACH).await?;
    watch::settled(vitals).await?;
    let count = vitals.open_fds()?.saturating_sub(descriptors);
    rows.push(Row::exactly("idle connections", count as u64, (PEERS * EACH) as u64, ""));
    rows.push(Row::below("memory, connected", vitals.rss_kib()?, CONNECTED_KIB, "KiB"));
    rows.push(Row::told("of it private", vitals.private_kib()?, "KiB"));
    rest(vitals, "connected", &mut rows).await?;
    for connection in open {
        connection.close().await?;
    }
    let after = watch::descriptors(vitals, descriptors).await?;
    rows.push(Row::exactly("descriptors, disconnected", after as u64, descriptors as u64, ""));
    rows.push(Row::told("memory, disconnected", vitals.rss_kib()?, "KiB"));
    Ok(rows)
}

async fn rest(vitals: Vitals, when: &str, rows: &mut Vec<Row>) -> Result<()> {
    let idle = watch::idle(vitals).await?;
    rows.push(Row::rate(&format!("wake-ups, {when}"), idle.wake_ups, WAKE_UPS));
    let cpu = u64::try_from(idle.cpu.as_micros())?;
    rows.push(Row::below(
        &format!("CPU in {} s, {when}", watch::WINDOW.as_secs()),
        cpu,
        u64::try_from(CPU.as_micros())?,
        "µs",
    ));
    Ok(())
}

async fn codes(program: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let scene = Scene::start(program, &[]).await?;
    let vitals = scene.vitals();
    scene.open_pairing()?;
    let descriptors = vitals.open_fds()?;
    load::wrong_codes(scene.addr, 0, WARM_UP_CODES).await?;
    watch::descriptors(vitals, descriptors).await?;
    watch::settled(vitals).await?;
    let before = vitals.rss_kib()?;
    load::wrong_codes(scene.addr, WARM_UP_CODES, CODES).await?;
    let after = watch::descriptors(vitals, descriptors).await?;
    watch::settled(vitals).await?;
    rows.push(Row::told(&format!("memory after {WARM_UP_CODES} wrong codes"), before, "KiB"));
    let what = format!("memory after {CODES} more");
    rows.push(Row::below(&what, vitals.rss_kib()?, before + CODES_NOISE_KIB, "KiB"));
    rows.push(Row::told("wrong codes looked at", scene.wrong_codes()?, ""));
    rows.push(Row::exactly("descriptors after them", after as u64, descriptors as u64, ""));
    Ok(rows)
}

async fn half_open(program: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let scene = Scene::start(program, &[]).await?;
    let vitals = scene.vitals();
    watch::settled(vitals).await?;
    let (before, descriptors) = (vitals.rss_kib()?, vitals.open_fds()?);
    rows.push(Row::told("memory before half-open sockets", before, "KiB"));
    for wave in WAVES {
        let open = load::half_open(scene.addr, HALF_OPEN).await?;
        let kept =
            watch::descriptors(vitals, descriptors + HALF_OPEN_KEPT).await?.saturating_sub(descriptors);
        let during = vitals.rss_kib()?;
        drop(open);
        let left = watch::descriptors(vitals, descriptors).await?;
        watch::settled(vitals).await?;
        let what = |text: &str| format!("{text} {HALF_OPEN} half-open, {wave}");
        rows.push(Row::exactly(&what("kept of"), kept as u64, HALF_OPEN_KEPT as u64, ""));
        rows.push(Row::told(&what("memory with"), during, "KiB"));
        rows.push(Row::below(&what("memory after"), vitals.rss_kib()?, before + HALF_OPEN_KIB, "KiB"));
        rows.push(Row::exactly(&what("descriptors after"), left as u64, descriptors as u64, ""));
    }
    Ok(rows)
}
