//! One scenario from its namespace to its end.

use std::ffi::OsStr;
use std::future::Future;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::{Instant, timeout};

use super::artefacts;
use super::wait::{MINUTE, wait_until};
use crate::bed::{Bed, Member};
use crate::skipping::{leave_test_to, skip_test};

/// Held shared by most stories and alone by those that stop what others need.
static STAGE: RwLock<()> = RwLock::const_new(());
/// Held by the one story that breaks the spare node.
static SPARE: Mutex<()> = Mutex::const_new(());
/// What breaks when there is no spare node. The other is the one on which most pods of stories are.
const ELSE_BROKEN: &str = "node-2";
/// Set where a story may not be skipped: by `cargo verify`, which starts a bed for them.
const REQUIRED: &str = "REFLECTOR_BED_REQUIRED";
/// Set where a story is left to the step that starts a bed: by the other steps of `cargo verify`.
const LATER: &str = "REFLECTOR_BED_LATER";
/// Set where stories are told in two turns, to one of [`TURNS`]: by `cargo verify`. Told in one, a story that wants to be
/// alone waits for the longest of those that run, and meanwhile no other begins.
pub const TURN: &str = "REFLECTOR_BED_TURN";
/// Stories that are told beside others, and those that are told alone.
pub const TURNS: [&str; 2] = ["beside", ALONE];
const ALONE: &str = "alone";
/// Set by whoever wants to look at what a failed story left in the cluster.
const KEEP: &str = "REFLECTOR_BED_KEEP";
/// Connecting and answering, between two namespaces of one machine.
const FETCH_SECONDS: &str = "3";
/// A page, with nothing but a shell: `$0` is the address, `$1` the port.
const FETCH: &str = r#"exec 3<>"/dev/tcp/$0/$1" && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3"#;
/// A command in a story answers, or hangs.
const COMMAND: Duration = Duration::from_secs(60);

/// What a story has at hand.
pub struct Scenario {
    /// The bed it is told on.
    pub bed: Bed,
    /// The API, as administrator.
    pub client: Client,
    /// A namespace of its own.
    pub namespace: String,
}

/// How a story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Staged {
    BesideOthers,
    OnTheSpareNode,
    Alone,
}

impl Staged {
    /// The other of the two turns has it.
    fn is_for_another(self, turn: Option<&str>) -> bool {
        turn.is_some_and(|turn| TURNS.contains(&turn) && (turn == ALONE) != (self == Self::Alone))
    }

    /// Waits for its place, which it has until this is dropped.
    async fn enter(self) -> Place {
        match self {
            Self::BesideOthers => Place::Beside { _spare: None, _stage: STAGE.read().await },
            Self::OnTheSpareNode => {
                let spare = SPARE.lock().await;
                Place::Beside { _spare: Some(spare), _stage: STAGE.read().await }
            }
            Self::Alone => Place::Alone { _stage: STAGE.write().await },
        }
    }
}

/// Keeps others away.
enum Place {
    Beside { _spare: Option<MutexGuard<'static, ()>>, _stage: RwLockReadGuard<'static, ()> },
    Alone { _stage: RwLockWriteGuard<'static, ()> },
}

/// Tells a story beside others. Without a bed it is skipped.
pub async fn scenario(name: &str, story: impl AsyncFnOnce(&mut Scenario) -> Result<()>) {
    tell(name, Staged::BesideOthers, Needs::Bed, story).await;
}

/// Tells a story beside others, of which Argo CD is a part. On a bed without it, it is skipped.
pub async fn scenario_with_argocd(name: &str, story: impl AsyncFnOnce(&mut Scenario) -> Result<()>) {
    tell(name, Staged::BesideOthers, Needs::ArgoCd, story).await;
}

/// Tells a story while no other is told. When it fails, what it broke is mended.
pub async fn alone(name: &str, story: impl AsyncFnOnce(&mut Scenario) -> Result<()>) {
    tell(name, Staged::Alone, Needs::Bed, story).await;
}

/// Tells a story that breaks a node, which it is told: beside others where the bed has a spare one, and alone where it
/// has none. When it fails, what it broke is mended. It may not start or end anything of the bed.
pub async fn breaking_a_node(name: &str, story: impl AsyncFnOnce(&mut Scenario, &Member) -> Result<()>) {
    if let Some(node) = Bed::running().ok().and_then(|bed| bed.spare()) {
        let story = async |scenario: &mut Scenario| story(scenario, &node).await;
        return tell(name, Staged::OnTheSpareNode, Needs::Bed, story).await;
    }
    alone(name, async |scenario: &mut Scenario| {
        let node = scenario.bed.member(ELSE_BROKEN)?;
        story(scenario, &node).await
    })
    .await;
}

/// Tells a story of Argo CD while no other is told.
pub async fn alone_with_argocd(name: &str, story: impl AsyncFnOnce(&mut Scenario) -> Result<()>) {
    tell(name, Staged::Alone, Needs::ArgoCd, story).await;
}

/// Without what a story is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Bed,
    ArgoCd,
}

#[expect(clippy::disallowed_methods, reason = "what to do with a story is said by whoever starts it")]
#[expect(clippy::panic, reason = "this is how a test fails")]
async fn tell(
    name: &str,
    staged: Staged,
    needs: Needs,
    story: impl AsyncFnOnce(&mut Scenario) -> Result<()>,
) {
    if std::env::var_os(LATER).is_some() {
        return leave_test_to("the step bed");
    }
    if staged.is_for_another(std::env::var(TURN).ok().as_deref()) {
        return leave_test_to("another turn");
    }
    let _place = staged.enter().await;
    let bed = match Bed::running() {
        Ok(bed) => bed,
        Err(error) if std::env::var_os(REQUIRED).is_some() => panic!("there must be a bed: {error:#}"),
        Err(error) => return skip_test(&format!("a bed: {error:#}")),
    };
    if needs == Needs::ArgoCd && bed.argocd().is_none() {
        return skip_test("Argo CD on this bed; start one that has it: cargo bed up --argocd");
    }
    let began = Instant::now();
    let mut scenario = match Scenario::open(name, bed).await {
        Ok(scenario) => scenario,
        Err(error) => panic!("{name}: {error:#}"),
    };
    let told = AssertUnwindSafe(story(&mut scenario)).catch_unwind().await;
    say_time(name, began.elapsed());
    if matches!(told, Ok(Ok(()))) {
        return scenario.close().await;
    }
    let kept = format!("what was to see: {}", artefacts::keep(name, &scenario).await.display());
    if std::env::var_os(KEEP).is_some() {
        println!("its namespace stays: cargo bed shell kubectl -n {} get all", scenario.namespace);
    } else {
        // What it holds, a port of a node perhaps, and what it broke must not fail the next story.
        if staged != Staged::BesideOthers
            && let Err(error) = scenario.bed.mend().await
        {
            println!("the bed is not mended, start it again: {error:#}");
        }
        scenario.close().await;
    }
    match told {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{name}: {error:#}\n{kept}"),
        Err(panicked) => {
            println!("{kept}");
            resume_unwind(panicked)
        }
    }
}

/// Past the test harness, which keeps to itself what passing tests print: the log of a run shows where its time went.
fn say_time(name: &str, took: Duration) {
    // Best effort: a reader that went away changes nothing about the story.
    let _ = writeln!(std::io::stderr(), "TOLD: {name} in {:.1} s", took.as_secs_f32());
}

impl Scenario {
    async fn open(name: &str, bed: Bed) -> Result<Self> {
        let client = client(&bed).await?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace =
            serde_json::from_value(json!({ "metadata": { "generateName": format!("{name}-") } }))?;
        let namespace = namespaces.create(&PostParams::default(), &namespace).await;
        let namespace = namespace.context("create a namespace")?.metadata.name.context("read its name")?;
        println!("{name} in namespace {namespace}");
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
        // A pod that comes before its account is refused.
        wait_until("pods may be created", MINUTE, async || Ok(accounts.get("default").await?)).await?;
        Ok(Self { bed, client, namespace })
    }

    /// The namespace goes in Kubernetes' own time.
    async fn close(self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        if let Err(error) = namespaces.delete(&self.namespace, &DeleteParams::background()).await {
            println!("the namespace {} stays: {error}", self.namespace);
        }
    }

    /// One kind of object in the scenario's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What kubectl prints, in the scenario's namespace.
    pub async fn kubectl<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<String> {
        let mut kubectl = Command::new(self.bed.tools().join("kubectl"));
        kubectl.env("KUBECONFIG", self.bed.kubeconfig()).args(["--namespace", &self.namespace]).args(words);
        output(kubectl).await
    }

    /// What a command prints that runs as a node or an appliance, on its network.
    pub async fn exec<S: AsRef<OsStr>>(
        &self,
        member: &str,
        words: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let words = self.bed.inside(member, words)?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        output(command).await
    }

    /// The page a member is shown at an address and port.
    pub async fn fetch(&self, member: &str, address: &str, port: u16) -> Result<String> {
        let port = port.to_string();
        let answer =
            self.exec(member, ["timeout", FETCH_SECONDS, "bash", "-c", FETCH, address, &port]).await?;
        let (head, page) =
            answer.split_once("\r\n\r\n").context("read an answer that has no end of its head")?;
        ensure!(head.contains(" 200 "), "the answer is {head}");
        Ok(page.to_owned())
    }
}

/// The API of a bed, as administrator. What it asks for is waited for with a deadline by whoever asks.
pub async fn client(bed: &Bed) -> Result<Client> {
    Client::try_from(config(bed).await?).context("make a client")
}

/// How the administrator reaches the API.
pub(super) async fn config(bed: &Bed) -> Result<Config> {
    // Fails when it is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(bed.kubeconfig()).context("read the bed's kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    config.context("understand the bed's kubeconfig")
}

/// What a command prints. One that fails is an error with its words.
pub(super) fn output(mut command: Command) -> impl Future<Output = Result<String>> {
    let what = format!("{:?}", command.as_std());
    async move {
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = timeout(COMMAND, output).await.with_context(|| format!("{what} hangs"))?;
        let output = output.with_context(|| format!("start {what}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{what} ({}) says: {}", output.status, said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
