//! Scenarios: tests that tell what somebody does to a real Kubernetes, and what must come of it.
//!
//! In: a bed that runs, and a story. Out: a passed test, or a folder with everything there was to see. Each story has a
//! namespace of its own, so that many can be told at once; one that stops what others need is told [`alone`].

mod account;
mod application;
mod artefacts;
mod audit;
mod harm;
mod helm;
mod pods;
mod repository;
mod seen;
mod story;
mod wait;

pub use self::application::Application;
pub use self::audit::Asked;
pub use self::harm::Container;
pub use self::pods::{Pods, busybox};
pub use self::repository::{Repository, Revision};
pub use self::seen::Seen;
pub use self::story::{
    Scenario, TURN, TURNS, alone, alone_with_argocd, breaking_a_node, client, scenario, scenario_with_argocd,
};
pub use self::wait::{MINUTE, wait_until};
