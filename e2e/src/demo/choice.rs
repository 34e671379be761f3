//! Which story is told: what the command line says, and what this machine can do.

use anyhow::{Result, ensure};
use e2e::parts;

use super::{Args, Own};

/// A story.
#[derive(Debug)]
pub(super) enum Choice {
    /// On one host; `why` there can be no bed, unless that was not asked.
    Standalone { why: Option<String> },
    /// On a bed.
    Bed,
    /// On somebody's cluster.
    Own(Own),
    /// None: what an earlier one left is removed.
    Clear,
}

/// Decides. Packages that a bed needs are installed in CI, or after a yes on a terminal.
pub(super) fn choose(args: &Args) -> Result<Choice> {
    if args.clear {
        return Ok(Choice::Clear);
    }
    if args.standalone {
        return Ok(Choice::Standalone { why: None });
    }
    if let Some(own) = own(args)? {
        return Ok(Choice::Own(own));
    }
    Ok(parts::obtain().map_or(Choice::Bed, |why| Choice::Standalone { why: Some(why) }))
}

/// The cluster that is named, when all that is needed of it is.
fn own(args: &Args) -> Result<Option<Own>> {
    let Some(kubeconfig) = &args.kubeconfig else { return Ok(None) };
    let needed = [
        ("--node NODE", &args.node, "whose port 4000 this machine reaches"),
        ("--operator-image REPOSITORY:TAG", &args.operator_image, "that your nodes can get"),
        ("--reflector-image REPOSITORY:TAG", &args.reflector_image, "that your nodes can get"),
    ];
    let missing = needed.iter().filter(|(_, given, _)| given.is_none());
    let missing: Vec<String> = missing.map(|(flag, _, what)| format!("{flag} ({what})")).collect();
    ensure!(
        missing.is_empty(),
        "a cluster of yours has no image of this tree; say also {}. There are no published images yet",
        missing.join(", ")
    );
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(Some(Own {
        kubeconfig: kubeconfig.clone(),
        node: given(&args.node),
        operator_image: given(&args.operator_image),
        reflector_image: given(&args.reflector_image),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_ones_own_needs_images_and_a_node_and_each_that_is_missing_is_named() {
        let mut args = Args { kubeconfig: Some("k".into()), ..Args::default() };
        let said = choose(&args).unwrap_err().to_string();
        for flag in
            ["--node NODE (", "--operator-image REPOSITORY:TAG (", "--reflector-image REPOSITORY:TAG ("]
        {
            assert!(said.contains(flag), "{said}");
        }
        args.node = Some("pi".into());
        args.operator_image = Some("o:1".into());
        let said = choose(&args).unwrap_err().to_string();
        assert!(!said.contains("--node") && said.contains("--reflector-image"), "{said}");
        args.reflector_image = Some("r:1".into());
        assert!(
            matches!(choose(&args).unwrap(), Choice::Own(own) if own.node == "pi" && own.reflector_image == "r:1")
        );
    }

    #[test]
    fn nothing_is_asked_of_the_machine_for_a_story_of_one_host() {
        let args = Args { standalone: true, ..Args::default() };
        assert!(matches!(choose(&args).unwrap(), Choice::Standalone { why: None }));
        let args = Args { clear: true, ..Args::default() };
        assert!(matches!(choose(&args).unwrap(), Choice::Clear));
    }
}
