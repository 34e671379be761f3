//! Policy, places and stops meet connections that are busy with something else.

use std::time::Duration;

use e2e::appliance::{Connection, Error, Test, envelope, frame};
use serde_json::json;

use super::tests::{House, refused};

impl House {
    /// A manifest, renamed into place.
    fn write_peer(&self, id: &str, spec: &str) {
        let text = format!(
            "apiVersion: packetparamedic.io/v1alpha1\nkind: ReflectorPeer\nmetadata:\n  name: bay\nspec:\n  \
             reflectorRef:\n    kind: Reflector\n    name: attic\n  endpointId: {id}\n{spec}"
        );
        let folder = self.dir.path().join("peers");
        std::fs::write(folder.join(".bay.tmp"), text).unwrap();
        std::fs::rename(folder.join(".bay.tmp"), folder.join("bay.yaml")).unwrap();
    }
}

/// Asks and never reads, until the reflector waits for it to read.
async fn grow_deaf(connection: &mut Connection) {
    let questions = frame::encode(&envelope("q", &json!({ "type": "get_status" }))).repeat(1000);
    connection.set_wait(Duration::from_millis(500));
    let stuck = loop {
        if let Err(error) = connection.send_raw(&questions).await {
            break error;
        }
    };
    assert!(matches!(stuck, Error::Deadline { .. }), "{stuck}");
}

/// A8: an answer the peer does not take must not buy its session ten seconds.
#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off_when_it_is_revoked() {
    let house = House::open().await;
    let (mut deaf, _) = house.bad.clone().receive_buffer(2048).open(house.addr()).await.unwrap();
    deaf.request(&Test::throughput(300)).await.unwrap().granted().unwrap();
    grow_deaf(&mut deaf).await;
    house.write_peer(&house.bad_id, "  suspend: true\n");
    house.until_audited("suspended").await;
    house.until_metric("reflector_sessions_active{type=\"throughput\"}", 0.0).await;
    house.until_metric(&refused("slow_reader"), 0.0).await;
}
