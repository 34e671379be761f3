//! The feeder on a real directory with real inotify events. Every wait has a deadline.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::access::fixtures::{NAME, PeerBuilder, id, peer, reflector};
use crate::access::{PeerState, Refusal, Settings, Standing, Verdict};

/// Generous: a debug build on a machine that compiles something else.
const DEADLINE: Duration = Duration::from_secs(60);

struct Room {
    access: Access,
    handle: DirectoryHandle,
    root: TempDir,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Room {
    /// A feeder on `peers/` below a temporary directory, which `prepare` fills.
    fn start(prepare: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        prepare(root.path());
        let clock: Clock = Arc::new(crate::clock::now);
        let settings = Settings {
            reflector: reflector(),
            authorized_peers: vec![],
            offline_grace: Duration::from_secs(3600),
        };
        let access = Access::new(settings, Arc::clone(&clock));
        let mine = Mine { name: NAME.into(), fleet: None };
        let (handle, directory) = Directory::new(root.path().join("peers"), mine, access.clone(), clock);
        let cancel = CancellationToken::new();
        let task = tokio::spawn(directory.run(cancel.clone()));
        Self { access, handle, root, cancel, task }
    }

    async fn with(files: &[(&str, &PeerBuilder)]) -> Self {
        let room = Self::start(|root| {
            ensure(&root.join("peers")).unwrap();
            for (name, peer) in files {
                std::fs::write(root.join("peers").join(name), peer.yaml()).unwrap();
            }
        });
        room.until("the first load", |access| access.status().state == "current").await;
        room
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("peers")
    }

    /// Writes as an editor does that is careful: beside, then renamed.
    fn put(&self, name: &str, text: &str) {
        let beside = self.dir().join(format!(".{name}.tmp"));
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.dir().join(name)).unwrap();
    }

    async fn until(&self, what: &str, holds: impl Fn(&Access) -> bool) {
        let poll = async {
            let mut look = tokio::time::interval(Duration::from_millis(5));
            while !holds(&self.access) {
                look.tick().await;
            }
        };
        let status = || format!("{what}: {:?}", self.access.status());
        assert!(timeout(DEADLINE, poll).await.is_ok(), "{}", status());
    }

    async fn end(self) {
        self.cancel.cancel();
        timeout(DEADLINE, self.task).await.expect("the feeder ends").unwrap();
    }

    fn broken(&self, name: &str) -> Option<String> {
        self.access.status().broken.into_iter().find(|b| b.name == name).map(|b| b.problem)
    }
}

async fn becomes(standing: &mut watch::Receiver<Standing>, wanted: impl Fn(&Verdict) -> bool) -> Standing {
    let wait = standing.wait_for(|s| wanted(&s.verdict));
    timeout(DEADLINE, wait).await.expect("a change within the deadline").unwrap().clone()
}

fn allowed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allowed(_))
}

fn is(refusal: Refusal) -> impl Fn(&Verdict) -> bool {
    move |verdict| *verdict == Verdict::Refused(refusal.clone())
}

/// A1
#[tokio::test]
async fn a_manifest_added_and_removed_acts_at_once() {
    let room = Room::with(&[]).await;
    let mut standing = room.access.subscribe(id(1));
    assert!(is(Refusal::Unknown)(&standing.borrow().verdict));
    room.put("a.yaml", &peer("a").endpoint(1).yaml());
    becomes(&mut standing, allowed).await;
    let before = crate::clock::now().mono_ms;
    std::fs::remove_file(room.dir().join("a.yaml")).unwrap();
    let told = becomes(&mut standing, is(Refusal::Removed)).await;
    assert!(
        told.since_mono_ms >= before && crate::clock::now().mono_ms - before < 2000,
        "within two seconds"
    );
    room.end().await;
}

/// A1
#[tokio::test]
async fn a_suspended_manifest_revokes_its_peer_only() {
    let room = Room::with(&[("a.yaml", &peer("a").endpoint(1)), ("b.yaml", &peer("b").endpoint(2))]).await;
    let (mut first, second) = (room.access.subscribe(id(1)), room.access.subscribe(id(2)));
    room.put("a.yaml", &peer("a").endpoint(1).suspended().yaml());
    becomes(&mut first, is(Refusal::Suspended { peer: "a".into() })).await;
    assert!(allowed(&second.borrow().verdict) && !second.has_changed().unwrap());
    room.end().await;
}

#[tokio::test]
async fn a_broken_file_stops_no_other_and_is_named() {
    let room = Room::with(&[("a.yaml", &peer("a").endpoint(1)), ("b.yaml", &peer("b").endpoint(2))]).await;
    let mut standing = room.access.subscribe(id(1));
    room.put("a.yaml", &format!("spec: {{ endpointId: {}\n", id(1)));
    becomes(&mut standing, is(Refusal::Invalid { peer: "a.yaml".into() })).await;
    assert!(allowed(&room.access.verdict(&id(2))));
    assert!(room.broken("a.yaml").unwrap().contains("not YAML"));
    assert_eq!(room.access.counts().broken, 1);
    room.put("a.yaml", &peer("a").endpoint(1).yaml());
    becomes(&mut standing, allowed).await;
    assert_eq!(room.access.counts().broken, 0);
    room.end().await;
}

#[tokio::test]
async fn a_file_that_is_still_being_written_changes_nothing_until_it_is_closed() {
    use std::io::Write;
    let room = Room::with(&[("a.yaml", &peer("a").endpoint(1))]).await;
    let mut standing = room.access.subscribe(id(1));
    standing.mark_unchanged();
    let mut writer = std::fs::File::create(room.dir().join("a.yaml")).unwrap();
    let mut newcomer = std::fs::File::create(room.dir().join("c.yaml")).unwrap();
    let whole = peer("c").endpoint(3).suspended().yaml();
    let (most, rest) = whole.split_at(whole.find("  suspend").unwrap());
    newcomer.write_all(most.as_bytes()).unwrap();
    // Both kinds of look pass over the open files: one by event, one on request.
    room.put("b.yaml", &peer("b").endpoint(2).yaml());
    room.until("the other file", |access| allowed(&access.verdict(&id(2)))).await;
    room.handle.rescan().await.unwrap();
    assert!(!standing.has_changed().unwrap(), "an emptied file that is still open cut its peer");
    assert!(
        is(Refusal::Unknown)(&room.access.verdict(&id(3))),
        "a new file let its peer in before it said suspend"
    );
    newcomer.write_all(rest.as_bytes()).unwrap();
    writer.write_all(peer("a").endpoint(1).suspended().yaml().as_bytes()).unwrap();
    drop(writer);
    drop(newcomer);
    becomes(&mut standing, is(Refusal::Suspended { peer: "a".into() })).await;
    room.until("the new file", |access| is(Refusal::Suspended { peer: "c".into() })(&access.verdict(&id(3))))
        .await;
    room.end().await;
}

#[tokio::test]
async fn after_a_rescan_a_renamed_file_is_in_force() {
    let room = Room::with(&[]).await;
    for n in 1..=20u8 {
        room.put(&format!("p{n}.yaml"), &peer(&format!("p{n}")).endpoint(n).yaml());
        room.handle.rescan().await.unwrap();
        assert!(allowed(&room.access.verdict(&id(n))), "peer {n}");
    }
    room.end().await;
}

#[tokio::test]
async fn a_config_map_mount_is_followed_through_its_links() {
    let version = |root: &Path, name: &str, peer: &PeerBuilder| {
        let dir = root.join("peers").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("a.yaml"), peer.yaml()).unwrap();
    };
    let room = Room::start(|root| {
        version(root, "..v1", &peer("a").endpoint(1));
        symlink("..v1", root.join("peers/..data")).unwrap();
        symlink("..data/a.yaml", root.join("peers/a.yaml")).unwrap();
    });
    let mut standing = room.access.subscribe(id(1));
    becomes(&mut standing, allowed).await;
    version(room.root.path(), "..v2", &peer("a").endpoint(1).suspended());
    symlink("..v2", room.dir().join("..data_tmp")).unwrap();
    std::fs::rename(room.dir().join("..data_tmp"), room.dir().join("..data")).unwrap();
    becomes(&mut standing, is(Refusal::Suspended { peer: "a".into() })).await;
    room.end().await;
}

/// G12
#[tokio::test]
async fn without_a_directory_nobody_is_granted_anything_until_it_comes() {
    let room = Room::start(|_| {});
    room.until("the feeder's reason", |access| !access.status().broken.is_empty()).await;
    assert_eq!(room.access.status().state, "never_loaded");
    assert!(room.access.status().broken[0].problem.contains("read peers directory"));
    assert!(is(Refusal::NeverLoaded)(&room.access.verdict(&id(1))));
    assert!(matches!(room.handle.rescan().await, Err(Error::Away { .. })));
    ensure(&room.dir()).unwrap();
    std::fs::write(room.dir().join("a.yaml"), peer("a").endpoint(1).yaml()).unwrap();
    room.until("the first load", |access| allowed(&access.verdict(&id(1)))).await;
    room.end().await;
}

/// G12
#[tokio::test]
async fn a_vanished_directory_leaves_the_last_policy_and_comes_back() {
    let room = Room::with(&[("a.yaml", &peer("a").endpoint(1)), ("b.yaml", &peer("b").endpoint(2))]).await;
    let mut gone = room.access.subscribe(id(2));
    std::fs::rename(room.dir(), room.root.path().join("elsewhere")).unwrap();
    room.until("stale", |access| access.status().state == "stale").await;
    assert!(allowed(&room.access.verdict(&id(1))) && !room.access.may_pair());
    ensure(&room.dir()).unwrap();
    std::fs::write(room.dir().join("a.yaml"), peer("a").endpoint(1).yaml()).unwrap();
    room.until("current", |access| access.status().state == "current").await;
    becomes(&mut gone, is(Refusal::Removed)).await;
    room.put("c.yaml", &peer("c").endpoint(3).yaml());
    room.until("the new directory is watched", |access| allowed(&access.verdict(&id(3)))).await;
    room.end().await;
}

#[tokio::test]
async fn a_directory_replaced_by_another_one_is_loaded_from_there() {
    let room = Room::with(&[("a.yaml", &peer("a").endpoint(1))]).await;
    let next = room.root.path().join("next");
    ensure(&next).unwrap();
    std::fs::write(next.join("b.yaml"), peer("b").endpoint(2).yaml()).unwrap();
    std::fs::rename(room.dir(), room.root.path().join("before")).unwrap();
    std::fs::rename(next, room.dir()).unwrap();
    room.until("the other directory", |access| {
        allowed(&access.verdict(&id(2))) && !allowed(&access.verdict(&id(1))) && access.may_pair()
    })
    .await;
    room.end().await;
}

#[tokio::test]
async fn two_objects_with_one_name_first_file_wins() {
    let room =
        Room::with(&[("a.yaml", &peer("same").endpoint(1)), ("b.yaml", &peer("same").endpoint(2))]).await;
    assert!(allowed(&room.access.verdict(&id(1))));
    assert!(is(Refusal::Invalid { peer: "same".into() })(&room.access.verdict(&id(2))));
    assert!(room.broken("b.yaml").unwrap().contains("already used in a.yaml"), "{:?}", room.access.status());
    room.end().await;
}

#[tokio::test]
async fn foreign_objects_and_other_files_are_left_alone() {
    let room = Room::start(|root| {
        let dir = root.join("peers");
        ensure(&dir).unwrap();
        std::fs::write(dir.join("a.yaml"), peer("a").endpoint(1).reference("Reflector", "cellar").yaml())
            .unwrap();
        std::fs::write(dir.join("b.yaml"), "apiVersion: v1\nkind: Secret\n").unwrap();
        std::fs::write(dir.join(".c.yaml"), peer("c").endpoint(3).yaml()).unwrap();
        std::fs::write(dir.join("d.yaml.bak"), peer("d").endpoint(4).yaml()).unwrap();
    });
    room.until("loaded", |access| access.status().state == "current").await;
    let status = room.access.status();
    assert_eq!((status.authorized, status.foreign, status.broken.len()), (0, 2, 0));
    room.end().await;
}

#[tokio::test]
async fn files_nobody_can_read_are_named_and_go_on_denying() {
    let room =
        Room::with(&[("a.yaml", &peer("a").endpoint(1).suspended()), ("b.yaml", &peer("b").endpoint(2))])
            .await;
    room.put("a.yaml", &"#".repeat(usize::try_from(crate::access::manifest::MAX_FILE_BYTES).unwrap()));
    room.handle.rescan().await.unwrap();
    assert!(
        is(Refusal::Unknown)(&room.access.verdict(&id(1))),
        "exactly the limit is read, and names nobody"
    );
    room.put("a.yaml", &peer("a").endpoint(1).suspended().yaml());
    room.handle.rescan().await.unwrap();
    room.put("a.yaml", &"#".repeat(usize::try_from(crate::access::manifest::MAX_FILE_BYTES).unwrap() + 1));
    room.handle.rescan().await.unwrap();
    assert!(room.broken("a.yaml").unwrap().contains("larger than 1048576 bytes"));
    assert!(
        is(Refusal::Invalid { peer: "a.yaml".into() })(&room.access.verdict(&id(1))),
        "a revoked peer stays out"
    );
    std::fs::create_dir(room.dir().join("dir.yaml")).unwrap();
    symlink("/nowhere", room.dir().join("link.yaml")).unwrap();
    std::fs::write(room.dir().join("latin1.yaml"), b"name: caf\xe9\n").unwrap();
    let fifo = room.dir().join("pipe.yaml");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    room.handle.rescan().await.unwrap();
    for (name, says) in [
        ("dir.yaml", "regular"),
        ("link.yaml", "No such file"),
        ("latin1.yaml", "UTF-8"),
        ("pipe.yaml", "regular"),
    ] {
        assert!(room.broken(name).is_some_and(|p| p.contains(says)), "{name}: {:?}", room.broken(name));
    }
    assert!(allowed(&room.access.verdict(&id(2))));
    room.end().await;
}

#[tokio::test]
async fn objects_past_the_limit_are_counted_and_said() {
    let room = Room::start(|root| {
        let dir = root.join("peers");
        ensure(&dir).unwrap();
        for file in 0..=10 {
            let one = |n: usize| format!("---\n{}", peer(&format!("p{file}-{n}")).yaml());
            let count = if file < 10 { 1000 } else { 3 };
            std::fs::write(dir.join(format!("f{file:02}.yaml")), (0..count).map(one).collect::<String>())
                .unwrap();
        }
    });
    room.until("loaded", Access::may_pair).await;
    let waiting = room.access.peers().iter().filter(|p| p.state == PeerState::Waiting).count();
    assert_eq!(waiting, MAX_OBJECTS);
    let broken = room.access.status().broken;
    assert!(broken[0].problem.contains("3 are not loaded"), "{broken:?}");
    room.end().await;
}

#[test]
fn a_directory_made_at_start_is_for_its_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/peers");
    ensure(&path).unwrap();
    ensure(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}
