//! The story of the cluster: from `helm install` to a revocation, each step with the commands that one would type.
//!
//! In: a bed, or somebody's kubeconfig with images that its nodes can get. Out: the story, and a cluster that runs on. It
//! speaks to the cluster as its users do, through kubectl, helm and the plugin, and looks at nothing behind them.

mod arrival;
mod clearing;
mod limits;
mod measuring;
mod target;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use e2e::bed::{self, Bed};
use e2e::measuring::Tester;
use tempfile::TempDir;
use tokio::process::Command;

use super::build::Programs;
use super::screen::Screen;

pub(crate) use self::clearing::earlier;
pub(super) use self::clearing::{clear, end_bed};
use self::target::Images;
pub(crate) use self::target::{NAMESPACE, SYSTEM, Target};

/// The name of the appliance, and of its object.
const PEER: &str = "living-room";

/// Somebody's cluster, as the command line names it.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) kubeconfig: PathBuf,
    pub(super) node: String,
    pub(super) operator_image: String,
    pub(super) reflector_image: String,
}

/// Everybody who takes part.
pub(super) struct Story {
    pub(super) screen: Screen,
    target: Target,
    tester: Tester,
    /// `PP-…@host:port`, once it is known.
    address: String,
    home: TempDir,
}

impl Story {
    /// On a bed, which is started unless it runs.
    pub(super) async fn on_a_bed(programs: &Programs, root: &Path, mut screen: Screen) -> Result<Self> {
        screen.step("A Kubernetes on this machine");
        screen.command("cargo bed up");
        // A process of its own: it takes the terminal for its progress, and whatever happens to us it is one start.
        let mut up = Command::new("/proc/self/exe");
        let status = up.args(["bed", "up"]).kill_on_drop(true).status().await.context("start the bed")?;
        ensure!(status.success(), "no bed came up ({status}); `cargo demo --standalone` needs none");
        let bed = Bed::running()?;
        let home = home()?;
        let mut target = Target::bed(bed, root, &programs.folder, home.path());
        clearing::earlier(&target).await.context("remove what an earlier demo left")?;
        let bed = target.bed.as_mut().context("a bed")?;
        // The machine of an earlier demo will do: the key on it is ours.
        if bed.member(PEER).is_err() {
            screen.command(&format!("cargo bed appliance add {PEER}"));
            bed.add_appliance(PEER).await?;
        }
        screen.good("two nodes, and a machine of its own for the appliance");
        for (program, image) in
            [(&programs.operator, &target.images.operator), (&programs.reflector, &target.images.reflector)]
        {
            bed.deliver(&target.node, program, image).await?;
            screen.good(&format!("{} has the image {image}", target.node));
        }
        let way = bed.inside(PEER, [""; 0])?;
        let tester = Tester::new(&programs.reflector, &home.path().join(PEER), way)?;
        Ok(Self { screen, target, tester, address: String::new(), home })
    }

    /// On somebody's cluster. The appliance is this machine.
    pub(super) async fn on(own: Own, programs: &Programs, root: &Path, screen: Screen) -> Result<Self> {
        let home = home()?;
        let images = Images { operator: own.operator_image, reflector: own.reflector_image };
        let target = Target::own(&own.kubeconfig, &own.node, images, root, &programs.folder, home.path())?;
        clearing::untouched(&target).await?;
        let tester = Tester::new(&programs.reflector, &home.path().join(PEER), Vec::new())?;
        Ok(Self { screen, target, tester, address: String::new(), home })
    }

    /// All steps.
    pub(super) async fn play(&mut self) -> Result<()> {
        self.helm_installs_the_chart().await?;
        self.a_reflector_becomes_ready().await?;
        self.an_appliance_pairs_and_measures().await?;
        self.a_stock_iperf3_measures().await?;
        let limit = self.a_quota_cuts_a_running_test().await?;
        self.a_live_test_is_revoked(limit).await?;
        self.what_there_is().await
    }

    pub(super) const fn is_on_a_bed(&self) -> bool {
        self.target.bed.is_some()
    }

    /// What to try next.
    pub(super) fn next(&self) -> Vec<&'static str> {
        if !self.is_on_a_bed() {
            return vec![
                "kubectl get reflectors -A                       it runs on, in your cluster",
                "kubectl reflector pair kitchen -n reflectors    another appliance (the plugin: target/debug)",
                "docs/install.md, \"Upgrade and removal\"          how to remove it again",
            ];
        }
        vec![
            "PATH=\"$PWD/target/debug:$PATH\" cargo bed shell    kubectl with its plugin, and helm; there:",
            "  kubectl -n reflectors get rpeer -w                who may measure, and what they have used",
            "  kubectl -n reflectors edit rpeer living-room      without `suspend` it may measure again",
            "  kubectl reflector pair kitchen -n reflectors      a code for another appliance",
            "  kubectl explain reflector.spec                    the manual of every field",
            "cargo bed exec living-room target/dist/reflector     the appliance's machine; its address is 10.99.0.101",
            "cargo demo --standalone                              the same without a cluster, with a kill -9",
            "cargo bed down                                       ends the cluster; `cargo demo` again begins anew",
            "docs/install.md                                      the same on a cluster of yours",
            "cargo verify                                         prove everything",
        ]
    }
}

/// Whether a bed runs that was there before us.
pub(super) fn is_running() -> bool {
    Bed::in_folder(&bed::folder()).is_ok()
}

fn home() -> Result<TempDir> {
    tempfile::Builder::new().prefix("reflector-demo-").tempdir().context("make a folder")
}
