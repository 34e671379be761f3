//! Steps 1 to 4: it starts, refuses a stranger, pairs it by a code, and lets it test.

use anyhow::{Context as _, Result, ensure};
use e2e::appliance::Test;
use e2e::appliance::data::Limits;
use tokio::time::Instant;

use super::super::screen::grouped;
use super::{Show, number};

/// Bytes of the first test: a second at the engine's pace.
const UPLOAD: u64 = 20_000_000;

impl Show {
    pub(super) async fn the_reflector_starts(&mut self) -> Result<()> {
        self.screen.step("Start a reflector");
        self.screen
            .say("Its configuration names a place for the key and a port. The first start makes the key.");
        self.screen.command("reflector serve");
        let began = Instant::now();
        self.stage.start().await?;
        self.screen
            .good(&format!("serving after {} ms; from a second terminal:", began.elapsed().as_millis()));
        self.stage.typed(&self.screen, &["status"]).await?;
        self.screen.say("The Endpoint ID is computed from the public key: an appliance can pin it.");
        Ok(())
    }

    pub(super) async fn a_stranger_is_refused(&mut self) -> Result<()> {
        self.screen.step("A stranger connects");
        self.screen.say("An appliance with a good key, which nobody has let in:");
        self.screen.output(&self.key.endpoint_id());
        let Err(refused) = self.connect().await else { anyhow::bail!("a stranger was let in") };
        let refused = refused.downcast::<e2e::appliance::Error>().context("connect as a stranger")?;
        self.screen.output(&refused.to_string());
        ensure!(refused.code() == Some(403), "expected error 403");
        ensure!(refused.to_string().contains("reflector pair"), "the refusal does not say how to get in");
        self.screen.good("refused, and told how to get in");
        Ok(())
    }

    pub(super) async fn a_code_pairs_the_appliance(&mut self) -> Result<()> {
        self.screen.step("Pair it");
        let told = self.stage.typed(&self.screen, &["pair", "--ttl", "5m"]).await?;
        let code = told
            .lines()
            .find_map(|line| line.strip_prefix("code"))
            .context("no code in the answer")?
            .trim()
            .to_owned();
        self.screen.say("Somebody types the code into the appliance; lower case will do:");
        self.connect().await.context("connect while a pairing window is open")?;
        let paired = self.link()?.pair(&code.to_lowercase()).await?;
        ensure!(paired["success"] == true, "not paired: {}", paired["message"]);
        self.screen.good(&format!("the appliance reads: {}", paired["message"].as_str().unwrap_or_default()));
        let peer = self.stage.peer().await?;
        ensure!(
            peer["endpoint_id"] == self.key.endpoint_id().as_str(),
            "the list shows somebody else: {peer}"
        );
        peer["name"].as_str().context("a peer without a name")?.clone_into(&mut self.name);
        self.stage.typed(&self.screen, &["peers", "list"]).await?;
        self.screen.good(&format!("durable: it is the manifest peers/{}.yaml now", self.name));
        Ok(())
    }

    pub(super) async fn a_test_runs_each_way(&mut self) -> Result<()> {
        self.screen.step("A test each way");
        self.screen.say("Every byte is leased from the peer's account before it moves. Both ends count:");
        let upload = (Test::throughput(10), Limits { bytes: Some(UPLOAD), ..Limits::default() });
        // The reflector ends this one, so that nothing it sent is left unread.
        let download = (Test::throughput(1).download(), Limits::default());
        let mut sum = 0;
        for (what, (test, limits)) in [("upload", upload), ("download", download)] {
            let (grant, running) = self.begin(&test, limits).await?;
            let ours = running.finish().await?;
            let line = self.stage.audited("session_completed", &grant.test_id).await?;
            let theirs = number(&line, "bytes")?;
            self.screen.say(&format!(
                "{what:<9} through port {}:  appliance {}  reflector {}",
                grant.port,
                grouped(ours.bytes),
                grouped(theirs)
            ));
            ensure!(line["reason"] == "completed", "the {what} was cut: {line}");
            ensure!(ours.bytes == theirs && theirs > 0, "the two ends of the {what} disagree");
            sum += theirs;
        }
        let today = self.bytes_today().await?;
        ensure!(today == sum, "the account says {today}, the two tests were {sum}");
        self.screen.good(&format!("the account of the day says {}: the sum, to the byte", grouped(today)));
        Ok(())
    }
}
