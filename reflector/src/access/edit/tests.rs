//! Editing a real directory.

use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::super::fixtures::{NAME, PeerBuilder, id, peer};
use super::*;

struct Room {
    dir: TempDir,
    peers: PeersDir,
}

fn room(files: &[(&str, String)]) -> Room {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mine = Mine { name: NAME.into(), fleet: None };
    Room { peers: PeersDir::new(dir.path().to_owned(), mine), dir }
}

impl Room {
    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(file)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        self.peers.list().unwrap().into_iter().map(|l| l.name).collect()
    }
}

fn new(n: u8) -> NewPeer {
    NewPeer { endpoint_id: id(n), name: None, display_name: None, expires_at: None, suspended: false }
}

fn names(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|l| l.name.as_str()).collect()
}

fn yaml(peers: &[PeerBuilder]) -> String {
    peers.iter().fold(String::new(), |all, p| all + "---\n" + &p.yaml())
}

#[test]
fn an_added_peer_is_a_manifest_the_server_accepts() {
    let room = room(&[]);
    let added = room.peers.add(&NewPeer { name: Some("attic-pi".into()), ..new(1) }).unwrap();
    assert_eq!((added.name.as_str(), added.file.as_str()), ("attic-pi", "attic-pi.yaml"));
    assert_eq!(room.peers.list().unwrap(), [added]);
    assert_eq!(
        std::fs::metadata(room.dir.path().join("attic-pi.yaml")).unwrap().permissions().mode() & 0o777,
        0o644
    );
}

#[test]
fn names_made_from_ids_are_unique() {
    let short = text::name_for(&id(1), 0);
    let room = room(&[
        ("x.yaml", peer(&short).endpoint(2).yaml()),
        (&format!("{}.yaml", text::name_for(&id(1), 1)), String::new()),
    ]);
    let added = room.peers.add(&new(1)).unwrap();
    assert_eq!(added.name, text::name_for(&id(1), 2), "one name was taken by an object, one by a file");
    assert_eq!(room.names().len(), 2);
}

#[test]
fn an_id_that_is_named_already_is_not_added_twice() {
    let room = room(&[("x.yaml", peer("x").endpoint(1).suspended().yaml())]);
    let error = room.peers.add(&new(1)).unwrap_err();
    assert!(matches!(&error, Error::AlreadyKnown { name, suspended: true, .. } if name == "x"), "{error}");
    assert_eq!(room.names(), ["x"]);
}

#[test]
fn a_name_in_use_or_not_allowed_is_refused() {
    let room = room(&[("x.yaml", peer("x").endpoint(1).yaml())]);
    let named = |name: &str| room.peers.add(&NewPeer { name: Some(name.into()), ..new(2) }).unwrap_err();
    assert!(matches!(named("x"), Error::NameTaken { .. }));
    assert!(named("../x").to_string().contains("metadata.name"), "{}", named("../x"));
    assert_eq!(std::fs::read_dir(room.dir.path()).unwrap().count(), 1);
}

#[test]
fn removing_takes_one_document_and_leaves_its_neighbours() {
    let all = yaml(&[peer("a").endpoint(1), peer("b").endpoint(2), peer("c").endpoint(3)]);
    let room = room(&[("all.yaml", format!("# mine\n{all}"))]);
    let edited = room.peers.remove("b").unwrap();
    assert_eq!(names(&edited.changed), ["b"]);
    assert_eq!(
        room.text("all.yaml"),
        format!("# mine\n{}", yaml(&[peer("a").endpoint(1), peer("c").endpoint(3)]))
    );
    room.peers.remove(&id(1).to_string()).unwrap();
    room.peers.remove(&id(3).label()).unwrap();
    assert!(!room.dir.path().join("all.yaml").exists(), "the last one takes the file along");
}

#[test]
fn removing_by_name_tells_who_still_authorises_the_id() {
    let room = room(&[("a.yaml", peer("a").endpoint(1).yaml()), ("b.yaml", peer("b").endpoint(1).yaml())]);
    let edited = room.peers.remove("a").unwrap();
    assert_eq!((names(&edited.changed), names(&edited.remaining)), (vec!["a"], vec!["b"]));
}

#[test]
fn revoking_reaches_every_object_that_names_the_id() {
    let room = room(&[
        ("a.yaml", peer("a").endpoint(1).yaml()),
        ("b.yaml", yaml(&[peer("b").endpoint(1), peer("other").endpoint(2)])),
        ("c.json", peer("c").endpoint(1).json().to_string()),
    ]);
    std::fs::set_permissions(room.dir.path().join("a.yaml"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let edited = room.peers.revoke("b").unwrap();
    assert_eq!((names(&edited.changed), names(&edited.remaining)), (vec!["a", "b", "c"], vec![]));
    let suspended: Vec<bool> = room.peers.list().unwrap().iter().map(|l| l.suspended).collect();
    assert_eq!(suspended, [true, true, false, true]);
    assert_eq!(
        std::fs::metadata(room.dir.path().join("a.yaml")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = room.text("a.yaml");
    room.peers.revoke("a").unwrap();
    assert_eq!(room.text("a.yaml"), before, "revoking twice changes nothing");
}

#[test]
fn an_unknown_peer_is_answered_with_the_nearest_name() {
    let room = room(&[("a.yaml", peer("living-room").endpoint(1).yaml())]);
    let error = room.peers.revoke("livingroom").unwrap_err();
    assert_eq!(error.to_string(), "no peer is called \"livingroom\"; did you mean \"living-room\"?");
    assert!(matches!(room.peers.remove(&id(7).to_string()), Err(Error::UnknownPeer { near: None, .. })));
}

#[test]
fn broken_files_are_listed_removable_and_never_half_edited() {
    let room = room(&[
        ("bad.yaml", format!("spec: {{ endpointId: {}\n", id(1))),
        ("ok.yaml", peer("ok").endpoint(2).yaml()),
    ]);
    assert!(room.peers.list().unwrap()[0].problem.as_ref().unwrap().contains("not YAML"));
    let error = room.peers.revoke("bad.yaml").unwrap_err();
    assert!(error.to_string().contains("mend it, or remove it"), "{error}");
    room.peers.remove("bad.yaml").unwrap();
    assert_eq!(room.names(), ["ok"]);
}

#[test]
fn a_linked_manifest_is_not_replaced_by_a_file() {
    let room = room(&[("real", peer("a").endpoint(1).yaml())]);
    symlink("real", room.dir.path().join("a.yaml")).unwrap();
    assert!(matches!(room.peers.revoke("a"), Err(Error::NotEditable { .. })));
    assert!(matches!(room.peers.remove("a"), Err(Error::NotEditable { .. })));
}

#[test]
fn peers_of_other_reflectors_are_not_touched() {
    let room = room(&[("a.yaml", peer("a").endpoint(1).reference("Reflector", "cellar").yaml())]);
    assert!(room.peers.list().unwrap().is_empty());
    assert!(matches!(room.peers.remove("a"), Err(Error::UnknownPeer { .. })));
}

#[test]
fn a_full_directory_takes_no_more() {
    let room = room(&[]);
    for file in 0..10 {
        let many: Vec<PeerBuilder> = (0..1000).map(|n| peer(&format!("p{file}-{n}"))).collect();
        std::fs::write(room.dir.path().join(format!("{file}.yaml")), yaml(&many)).unwrap();
    }
    assert!(matches!(room.peers.add(&new(1)), Err(Error::Full)));
}

/// Each of them read the file before the others wrote it, if nobody makes them wait.
#[test]
fn revocations_at_the_same_moment_lose_none() {
    let all: Vec<PeerBuilder> = (1..=8).map(|n| peer(&format!("p{n}")).endpoint(n)).collect();
    let room = room(&[("all.yaml", yaml(&all))]);
    std::thread::scope(|scope| {
        for part in 0..2 {
            let peers = &room.peers;
            scope.spawn(move || {
                for n in 1..=4 {
                    peers.revoke(&format!("p{}", part * 4 + n)).unwrap();
                }
            });
        }
    });
    let free: Vec<String> =
        room.peers.list().unwrap().into_iter().filter(|l| !l.suspended).map(|l| l.name).collect();
    assert_eq!(free, Vec::<String>::new());
}

/// Whoever can read the directory can take the lock.
#[test]
fn somebody_who_sits_on_the_lock_holds_nothing_back() {
    let room = room(&[("a.yaml", yaml(&[peer("a").endpoint(1)]))]);
    let directory = File::open(room.dir.path()).unwrap();
    flock(&directory, FlockOperation::LockExclusive).unwrap();
    room.peers.revoke("a").unwrap();
    assert!(room.peers.list().unwrap()[0].suspended);
}
