//! The programs that a bed is made of: a real Kubernetes, built from pinned Go modules, and what Debian has.
//!
//! In: what is wanted. Out: a folder with every program by its name ([`Parts`]). Nothing is built twice, nothing is
//! written to the checkout, and nothing here starts a cluster. Network is used only for what the cache does not have.

mod build;
mod cache;
mod child;
pub mod debian;
mod go;
mod go_mod;
pub mod kernel;
mod links;
mod progress;
pub mod sets;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

pub use self::cache::Cache;
use self::debian::Extra;
pub use self::progress::Progress;
use self::sets::Set;

/// Which Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The newest we support.
    Newest,
    /// The oldest.
    Oldest,
}

/// What a bed is to consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Which Kubernetes.
    pub kubernetes: Line,
    /// With Argo CD. It takes longer to build than all the rest.
    pub argocd: bool,
    /// With kwok, and nodes that are not there.
    pub kwok: bool,
}

/// All programs, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// A folder with a link to each program of each set, to `runc`, and with Argo CD to its many names. The one
    /// folder of ours that is put first on a PATH, and containerd's `bin_dirs`.
    pub bin: PathBuf,
    /// `v1.36.3`
    pub kubernetes_version: String,
    /// A static busybox, for an image.
    pub busybox: PathBuf,
    /// Debian's runc, by its own path.
    pub runc: PathBuf,
    /// The program of the image that holds a pod's namespaces.
    pub pause: PathBuf,
    /// Argo CD's kinds and settings, when it is wanted.
    pub argocd: Option<PathBuf>,
    /// The stages by which kwok plays nodes, when it is wanted.
    pub kwok: Option<PathBuf>,
}

/// Makes everything ready; takes a moment when it already is. Called before anything of the cluster is touched.
///
/// It asks the machine first, so that whoever lacks a package is told before ten minutes of building.
pub fn ready(wanted: &Wanted, progress: &mut Progress) -> Result<Parts> {
    let cache = Cache::from_env()?;
    // The packages come first: `ip`, `nft` and `unshare` are what the kernel is tried with.
    debian::ready(&extras(wanted.argocd, &cache))?;
    kernel::ready()?;
    from_cache(*wanted, &cache, progress)
}

/// What this machine lacks for a bed without Argo CD, in one line. Nothing is installed or built to find out.
pub fn lacking() -> Option<String> {
    look(debian::there)
}

/// The same, after what can be got was got: in CI, or after a yes on a terminal.
pub fn obtain() -> Option<String> {
    look(debian::ready)
}

fn look(packages: impl Fn(&[Extra]) -> Result<()>) -> Option<String> {
    let packages = || packages(&extras(false, &Cache::from_env()?));
    let root = rustix::process::geteuid().is_root();
    // Without root that is what is lacking, whatever else is.
    let looked = if root { packages().and_then(|()| kernel::ready()) } else { kernel::ready() };
    Some(one_line(&format!("{:#}", looked.err()?)))
}

/// `lacks:\n  a: do b\n  c: do d` as `lacks: a: do b; c: do d`.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join("; ").replace(":; ", ": ")
}

fn extras(argocd: bool, cache: &Cache) -> Vec<Extra> {
    let go = !go::is_there(cache);
    let extras = [(argocd, Extra::Argocd), (go, Extra::Go)];
    extras.into_iter().filter_map(|(wanted, extra)| wanted.then_some(extra)).collect()
}

/// Only what must be built, in a cache of the caller's choice. Needs neither root nor Debian's packages.
pub fn build(wanted: &Wanted, cache: &Cache, progress: &mut Progress) -> Result<Vec<PathBuf>> {
    let go = go::ready(cache, progress)?;
    sets_of(*wanted).iter().map(|set| build::ready(set, &go, cache, progress)).collect()
}

fn from_cache(wanted: Wanted, cache: &Cache, progress: &mut Progress) -> Result<Parts> {
    let folders = build(&wanted, cache, progress)?;
    let system = |program: &str| {
        debian::find(program).with_context(|| format!("find {program}, which was there a moment ago"))
    };
    let runc = system("runc")?;
    let mut targets = links::of_folders(&folders)?;
    targets.insert("runc".into(), runc.clone());
    let mut manifests = None;
    if wanted.argocd {
        targets.insert("redis-server".into(), system("redis-check-rdb")?);
        // Argo CD asks it who signed a commit. An empty answer is that of a commit that nobody signed.
        targets.insert("git-verify-wrapper.sh".into(), system("true")?);
        let argocd = targets.get("argocd").cloned().context("find argocd among what was built")?;
        manifests = argocd.parent().map(|folder| folder.join(sets::MANIFESTS));
        targets.extend(links::ARGOCD_NAMES.iter().map(|name| ((*name).into(), argocd.clone())));
    }
    let kwok = targets.get("kwok").and_then(|kwok| Some(kwok.parent()?.join(sets::MANIFESTS)));
    let bin = links::ready(&targets, cache, progress)?;
    Ok(Parts {
        pause: bin.join("pause"),
        bin,
        kubernetes_version: sets::kubernetes_version(&kubernetes(wanted.kubernetes))?.to_owned(),
        busybox: system("busybox")?,
        runc,
        argocd: manifests,
        kwok,
    })
}

fn kubernetes(line: Line) -> Set {
    match line {
        Line::Newest => sets::KUBERNETES,
        Line::Oldest => sets::KUBERNETES_OLD,
    }
}

fn sets_of(wanted: Wanted) -> Vec<Set> {
    let mut wants =
        vec![sets::PAUSE, sets::NODE, sets::LOCAL_PATH, kubernetes(wanted.kubernetes), sets::HELM];
    if wanted.argocd {
        wants.push(sets::ARGOCD);
    }
    if wanted.kwok {
        wants.push(sets::KWOK);
    }
    wants
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kubernetes: Line, argocd: bool, kwok: bool) -> Vec<&'static str> {
        sets_of(Wanted { kubernetes, argocd, kwok }).iter().map(|set| set.name).collect()
    }

    #[test]
    fn what_is_lacking_fits_on_the_line_of_a_step() {
        let text = "missing on this machine:\n  nft: rules\n  ip: cables\non Debian: apt-get";
        assert_eq!(one_line(text), "missing on this machine: nft: rules; ip: cables; on Debian: apt-get");
    }

    #[test]
    fn one_line_of_kubernetes_is_built_and_argo_cd_and_kwok_only_when_wanted() {
        assert_eq!(names(Line::Newest, false, false), ["pause", "node", "local-path", "kubernetes", "helm"]);
        assert_eq!(
            names(Line::Oldest, true, false),
            ["pause", "node", "local-path", "kubernetes-old", "helm", "argocd"]
        );
        assert_eq!(
            names(Line::Newest, false, true),
            ["pause", "node", "local-path", "kubernetes", "helm", "kwok"]
        );
    }
}
