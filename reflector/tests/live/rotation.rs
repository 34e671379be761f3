//! Our own key changes while a test runs.

use std::os::unix::fs::PermissionsExt;

use reflector::identity::Statement;

use super::*;

/// I5, X3: dated backup, signed succession, audit, live sessions survive, no new pairing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotated_identity_keeps_live_sessions_and_needs_no_new_pairing() {
    let mut bed = Bed::launch("", &[("REFLECTOR_TESTBED_PACE", "5000000")]).await;
    let (key, mut control) = bed.appliance("attic").await;
    let seed = std::fs::read(bed.path("identity.ed25519")).unwrap();
    let old = bed.endpoint_id.clone();
    assert_eq!(control.server_endpoint_id(), Some(old.clone()));
    let (grant, data) = running_download(&mut control).await;

    let rotated = bed.json(&["rotate-identity", "--json"]);
    let new = rotated["endpoint_id"].as_str().unwrap().to_owned();
    assert_eq!((&rotated["old_endpoint_id"], &rotated["live"]), (&old.as_str().into(), &true.into()));
    assert_ne!(new, old);
    let backup = std::path::PathBuf::from(rotated["backup"].as_str().unwrap());
    assert_eq!(std::fs::read(&backup).unwrap(), seed, "the old key is kept");
    let today = jiff::Timestamp::now().strftime("%Y%m%d").to_string();
    let name = backup.file_name().unwrap().to_string_lossy().replace('-', "");
    assert!(name.contains(&today), "dated: {name}");
    for path in [backup, bed.path("identity.ed25519")] {
        let file = std::fs::metadata(&path).unwrap();
        assert_eq!((file.permissions().mode() & 0o777, file.len()), (0o600, 32), "{}", path.display());
    }

    // What was there goes on: the bytes, the connection, the peer.
    let before = data.bytes();
    until(|| (data.bytes() > before + 1_000_000).then_some(()), "traffic after the rotation").await;
    assert_eq!(control.status().await.unwrap()["endpoint_id"], new);
    control.close_session(&grant.test_id).await.unwrap();
    assert_eq!(end_of(&bed, &grant).await["reason"], "client_terminated");
    // Whoever comes now sees the new key, unpaired or not.
    let (fresh, hello) = open(&bed, &key).await.unwrap();
    assert_eq!(fresh.server_endpoint_id(), Some(new.clone()));
    assert!(hello.get("succession").is_none(), "only to those who know the feature: {hello}");

    for life in ["the same process", "the next one"] {
        let mut asking = Appliance::builder(key.clone()).connect(bed.addr).await.unwrap();
        let hello = asking.hello_with(&["throughput", "succession"]).await.unwrap();
        let statement: Statement = serde_json::from_value(hello["succession"].clone()).unwrap();
        statement.verify().unwrap();
        assert_eq!(
            (statement.old.to_string(), statement.new.to_string()),
            (old.clone(), new.clone()),
            "{life}"
        );
        let forged = Statement { new: key.endpoint_id().parse().unwrap(), ..statement };
        assert!(forged.verify().is_err());
        assert_eq!(asking.server_endpoint_id(), Some(new.clone()), "{life}");

        let line = bed.audited("identity_rotated", |_| true).await;
        assert_eq!(
            (&line["params"]["old"], &line["params"]["new"]),
            (&old.as_str().into(), &new.as_str().into())
        );
        assert_eq!(line["endpoint_id"], old, "written by the one that stepped down");
        assert!(bed.cli(&["audit", "verify"]).status.success());
        bed.daemon.sigterm().unwrap();
        assert!(bed.daemon.wait(PATIENCE).await.unwrap().success());
        bed.restart().await;
        assert_eq!(bed.endpoint_id, new, "{life}");
    }
}
