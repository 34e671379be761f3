//! `cargo demo`: the product's main job on one machine, told step by step for somebody who sees it the first time.
//!
//! In: the tree. Out: a story on standard output, and exit code 0 only when every expectation in it held. Each number in it
//! was counted where the bytes moved. It builds what it needs. Where a bed can run it tells the story of the cluster, which
//! runs on at the end; elsewhere it says why not and tells that of one host, which leaves nothing behind.

mod acts;
pub(crate) mod build;
mod calm;
mod choice;
pub(crate) mod cluster;
pub(crate) mod screen;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

use crate::USAGE;
use crate::place::Place;

use self::acts::Show;
use self::choice::Choice;
use self::cluster::{Own, Story};
use self::screen::Screen;

/// What a shell reports for a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Options of `cargo demo`.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Args {
    /// Tell it on one host, without a cluster.
    #[arg(long, conflicts_with_all = ["kubeconfig", "clear"])]
    standalone: bool,
    /// Tell it on a cluster of yours that has no reflectors yet; kubectl and helm must be here, and this machine must reach the
    /// node. Needs --node, --operator-image and --reflector-image.
    #[arg(long, value_name = "FILE", conflicts_with = "clear")]
    kubeconfig: Option<PathBuf>,
    /// With --kubeconfig: the node that is to have the reflector.
    #[arg(long, value_name = "NODE", requires = "kubeconfig")]
    node: Option<String>,
    /// With --kubeconfig: an image of the operator that your nodes can get.
    #[arg(long, value_name = "REPOSITORY:TAG", requires = "kubeconfig")]
    operator_image: Option<String>,
    /// With --kubeconfig: an image of the reflector that your nodes can get.
    #[arg(long, value_name = "REPOSITORY:TAG", requires = "kubeconfig")]
    reflector_image: Option<String>,
    /// Only remove what a demo has left on the bed that runs.
    #[arg(long)]
    clear: bool,
}

/// Runs the demo to its end. Called by `main`, once.
pub(crate) fn run(args: &Args) -> ExitCode {
    let choice = match choice::choose(args) {
        Ok(choice) => choice,
        Err(error) => {
            screen::failed(&format!("{error:#}"));
            return ExitCode::from(USAGE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("start the demo").and_then(|runtime| runtime.block_on(until_interrupted(choice))) {
        Ok(code) => code,
        Err(error) => {
            screen::failed(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C drops whatever takes part, which ends what runs on this machine. A bed that came up for the demo goes with it.
async fn until_interrupted(choice: Choice) -> Result<ExitCode> {
    let on_a_bed = matches!(choice, Choice::Bed);
    let ours = on_a_bed && !cluster::is_running();
    let own = matches!(choice, Choice::Own(_));
    let pressed = tokio::select! {
        biased;
        pressed = tokio::signal::ctrl_c() => pressed.context("listen for Ctrl-C"),
        done = told(choice) => return done.map(|()| ExitCode::SUCCESS),
    };
    pressed?;
    let screen = Screen::default();
    if ours {
        screen.say("Interrupted; ending the bed.");
        cluster::end_bed().await?;
    } else if on_a_bed {
        screen.say(
            "Interrupted. The bed ran before, and runs on; `cargo demo --clear` removes what was made on it.",
        );
    } else if own {
        screen.say(
            "Interrupted. What was made in your cluster stays; docs/install.md, \"Upgrade and removal\".",
        );
    }
    Ok(ExitCode::from(INTERRUPTED))
}

async fn told(choice: Choice) -> Result<()> {
    let place = Place::from_env();
    let screen = Screen::default();
    match choice {
        Choice::Clear => cluster::clear(&place.root).await,
        Choice::Standalone { why } => {
            if let Some(why) = why {
                screen.say(&format!("No Kubernetes can run here: {why}"));
                screen.say("So this is the story of one host.");
            }
            standalone(&place, screen).await
        }
        Choice::Bed => {
            screen
                .title("A cluster, a reflector, and an appliance that measures against it", &screen::CLUSTER);
            let programs = build::all(&place, &screen).await?;
            calm::wait_for_a_day_to_begin(&screen).await;
            let began = Instant::now();
            in_a_cluster(Story::on_a_bed(&programs, &place.root, screen).await?, began).await
        }
        Choice::Own(own) => {
            screen.title(
                "Your cluster, a reflector, and this machine, which measures against it",
                &screen::OWN,
            );
            let programs = build::all(&place, &screen).await?;
            calm::wait_for_a_day_to_begin(&screen).await;
            let began = Instant::now();
            in_a_cluster(Story::on(own, &programs, &place.root, screen).await?, began).await
        }
    }
}

async fn in_a_cluster(mut story: Story, began: Instant) -> Result<()> {
    match story.play().await {
        Ok(()) => {
            story.screen.summary(began.elapsed(), &screen::SEEN_IN_A_CLUSTER, &story.next());
            Ok(())
        }
        Err(error) => {
            let look = if story.is_on_a_bed() {
                "the cluster runs on: `cargo bed shell` to look, `cargo bed down` to end it"
            } else {
                "what was made in your cluster stays: `kubectl reflector report -n reflectors` gathers what there is to see"
            };
            Err(error.context(format!("step {} went wrong; {look}", story.screen.number())))
        }
    }
}

async fn standalone(place: &Place, screen: Screen) -> Result<()> {
    screen.title("A reflector, and an appliance that measures against it", &screen::STANDALONE);
    let program = build::reflector(place, &screen).await?;
    calm::wait_for_a_day_to_begin(&screen).await;
    let began = Instant::now();
    let mut show = Show::open(program, screen)?;
    match show.play().await {
        Ok(()) => {
            show.screen.summary(began.elapsed(), &screen::SEEN_ON_ONE_HOST, &screen::NEXT_ON_ONE_HOST);
            Ok(())
        }
        Err(error) => {
            let kept = show.stage.keep();
            Err(error.context(format!(
                "step {} went wrong; its files are in {}",
                show.screen.number(),
                kept.display()
            )))
        }
    }
}
