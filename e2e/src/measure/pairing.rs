//! From a peer to its code, and from the code presented to Bound.

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::{Appliance, Key};
use kube::api::DeleteParams;
use serde_json::json;
use tokio::time::Instant;

use super::moments::moments;
use super::scene::{Scene, create, object, reflector_name};
use super::spread::Row;

pub(super) async fn measure(scene: &Scene, rounds: u16) -> Result<Vec<Row>> {
    let (_, address) = scene.serve(0, &json!({})).await?;
    let address = address.parse().context("read the address")?;
    let (peers, secrets) = (scene.peers(), scene.secrets());
    let (mut codes, mut answers, mut bound) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..rounds {
        let name = format!("p-{number}");
        let spec = json!({ "reflectorRef": { "kind": "Reflector", "name": reflector_name(0) } });
        let began = Instant::now();
        create(&peers, object("ReflectorPeer", &name, &spec)).await?;
        let [code] = moments(
            &peers,
            &name,
            began,
            [&|peer| {
                peer["status"]["pairing"]["secret"].is_string()
                    && peer["status"]["pairing"]["state"] == "Waiting"
            }],
        )
        .await?;
        codes.push(code);
        let secret = peers.get(&name).await?.data["status"]["pairing"]["secret"].clone();
        let secret =
            secrets.get(secret.as_str().context("no Secret is named")?).await?.data.unwrap_or_default();
        let code = secret.get("code").context("the Secret has no code")?;
        let code = std::str::from_utf8(&code.0).context("the code is no text")?.to_owned();

        let (mut link, _) = Appliance::builder(Key::generate()).open(address).await?;
        let presented = Instant::now();
        let present = async {
            let answer = link.pair(&code).await?;
            ensure!(answer["success"] == true, "{name} was not paired: {answer}");
            Ok(presented.elapsed())
        };
        let seen = moments(&peers, &name, presented, [&|peer| peer["status"]["pairing"]["state"] == "Bound"]);
        let (answer, [seen]) = tokio::try_join!(present, seen)?;
        answers.push(answer);
        bound.push(seen);
        if (number + 1) % 10 == 0 {
            anstream::eprintln!("{} of {rounds} pairings", number + 1);
        }
        peers.delete(&name, &DeleteParams::default()).await?;
    }
    Ok(vec![
        Row::times("peer → code in its Secret", &codes),
        Row::times("code presented → Bound", &bound),
        Row::times("code presented → the appliance is told", &answers),
    ])
}
