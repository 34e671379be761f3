use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// I1
#[test]
fn a_new_key_is_32_bytes_and_readable_by_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/identity.ed25519");
    let first = load_or_create(&path, false).unwrap();
    assert!(first.created);
    assert_eq!(fs::metadata(&path).unwrap().len(), 32);
    assert_eq!(mode_of(&path), 0o600);
    let again = load_or_create(&path, false).unwrap();
    assert!(!again.created);
    assert_eq!(again.identity.id(), first.identity.id());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left behind");
}

/// Two servers that start at the same moment: the one that comes second must not run on, or replace, the other's key.
#[test]
fn a_key_somebody_else_made_meanwhile_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let first = Identity::from_seed(&[1; 32]);
    write_new(&path, &first).unwrap();
    let error = write_new(&path, &Identity::from_seed(&[2; 32])).unwrap_err();
    assert!(matches!(error, KeyFileError::Io { .. }), "{error}");
    assert_eq!(load_or_create(&path, false).unwrap().identity.id(), first.id());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no key material is left behind");
}

/// I1
#[test]
fn another_length_or_a_wider_mode_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    for (bytes, mode, expect) in [
        (31usize, 0o600, "31 bytes"),
        (33, 0o600, "33 bytes"),
        (0, 0o600, "0 bytes"),
        (32, 0o640, "chmod 600"),
        (32, 0o604, "chmod 600"),
    ] {
        fs::write(&path, vec![1; bytes]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = load_or_create(&path, false).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    }
}

/// I1: a kubelet adds group bits to every file of a volume with fsGroup.
#[test]
fn in_a_pod_bits_of_our_own_group_are_taken_back_and_others_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, [5; 32]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let loaded = load_or_create(&path, true).unwrap();
    assert_eq!(mode_of(&path), 0o600);
    assert!(loaded.notes[0].contains("0660"), "{:?}", loaded.notes);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    assert!(matches!(load_or_create(&path, true), Err(KeyFileError::Mode { mode: 0o664, .. })));
}

/// I3
#[test]
fn the_configured_path_is_used_and_a_legacy_file_beside_it_is_read_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let legacy = dir.path().join("identity.key");
    fs::write(&legacy, [9; 32]).unwrap();
    fs::set_permissions(&legacy, fs::Permissions::from_mode(0o600)).unwrap();
    let path = dir.path().join("custom.ed25519");
    let loaded = load_or_create(&path, false).unwrap();
    assert_eq!(loaded.identity.id(), Identity::from_seed(&[9; 32]).id());
    assert!(loaded.notes[0].contains("identity.key"));
    assert_eq!(fs::read(&path).unwrap(), [9; 32]);
    fs::write(&path, [8; 32]).unwrap();
    let loaded = load_or_create(&path, false).unwrap();
    assert_eq!(loaded.identity.id(), Identity::from_seed(&[8; 32]).id());
    assert!(loaded.notes[0].contains("ignored"));
}

/// I5
#[test]
fn replacing_keeps_the_old_key_as_a_dated_backup_and_a_statement_it_signed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity.ed25519");
    let old = load_or_create(&path, false).unwrap().identity;
    let now: Timestamp = "2026-11-21T10:20:30Z".parse().unwrap();
    let (new, statement, backup) = replace(&path, &old, now).unwrap();
    assert!(backup.to_string_lossy().ends_with(".20261121T102030Z.bak"));
    assert_eq!(fs::read(&backup).unwrap(), old.seed().as_slice());
    assert_eq!(mode_of(&backup), 0o600);
    assert_eq!(load_or_create(&path, false).unwrap().identity.id(), new.id());
    statement.verify().unwrap();
    assert_eq!(Statement::load(&Statement::path_beside(&path), new.id()).unwrap(), Some(statement));
    assert!(replace(&path, &new, now).is_err(), "a backup is never overwritten");
    assert_eq!(load_or_create(&path, false).unwrap().identity.id(), new.id());
}

#[test]
fn a_folder_or_a_fifo_in_place_of_the_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(load_or_create(dir.path(), false), Err(KeyFileError::NotAFile { .. })));
}

/// F7: adopted once, and never instead of a key that is there.
#[test]
fn a_key_is_imported_where_there_is_none_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let (path, stored) = (dir.path().join("state/identity.ed25519"), dir.path().join("stored"));
    let import = dir.path().join("import");
    // As a kubelet does it: a link to a file that only we and our group may read.
    fs::write(&stored, [7; 32]).unwrap();
    fs::set_permissions(&stored, fs::Permissions::from_mode(0o440)).unwrap();
    std::os::unix::fs::symlink(&stored, &import).unwrap();
    let old = Identity::from_seed(&[7; 32]).id();

    assert!(matches!(load_or_import(&path, &import, false), Err(KeyFileError::Mode { .. })));
    let loaded = load_or_import(&path, &import, true).unwrap();
    assert_eq!((loaded.identity.id(), loaded.created), (old, false));
    assert!(loaded.notes.last().unwrap().contains("was adopted"), "{:?}", loaded.notes);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&stored).unwrap().permissions().mode() & 0o7777, 0o440, "it is only read");

    fs::remove_file(&stored).unwrap();
    fs::remove_file(&import).unwrap();
    assert_eq!(load_or_import(&path, &import, true).unwrap().identity.id(), old);
    fs::write(&import, [8; 32]).unwrap();
    assert_eq!(load_or_import(&path, &import, true).unwrap().identity.id(), old, "a rotated key stays, too");

    fs::write(&import, [7; 31]).unwrap();
    fs::set_permissions(&import, fs::Permissions::from_mode(0o400)).unwrap();
    let fresh = dir.path().join("fresh");
    assert!(matches!(load_or_import(&fresh, &import, true), Err(KeyFileError::Length { found: 31, .. })));
    assert!(!fresh.exists(), "no other identity comes of a broken one");
}
