//! The table of what is built from Go modules: one set is one `go.mod`, built in one go.
//!
//! The versions stand in the `go.mod` files alone; what a program must be told about its version at build time is read
//! from there.

use anyhow::{Context as _, Result};

use super::go_mod;

/// Programs that are built together because their modules agree with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Its folder below `e2e/tools`, and its name in progress and errors.
    pub name: &'static str,
    /// `go.mod` and whatever else stands in that folder: file name and text.
    pub files: &'static [(&'static str, &'static str)],
    /// What is built.
    pub programs: &'static [Program],
    /// Variables of the programs that are set at build time.
    pub(super) stamps: &'static [Stamp],
    /// What its modules hold beside Go, and a bed gives to Kubernetes.
    pub(super) manifests: &'static [Manifest],
}

/// One program of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its Go package.
    pub package: &'static str,
    /// What the file is called. `go build` calls it after the last part of the package.
    pub name: &'static str,
}

/// A file of a module that is kept beside the programs, in [`MANIFESTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    pub(super) module: &'static str,
    pub(super) path: &'static str,
}

/// The folder of a set's manifests, beside its programs.
pub const MANIFESTS: &str = "manifests";

/// A Go variable that holds a version. Without it programs say they are of version 0, and others refuse them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    variable: &'static str,
    module: &'static str,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `v1.36.3`
    Tag,
    /// `1.36.3`
    Number,
    /// `1`
    Major,
    /// `36`
    Minor,
}

const fn program(package: &'static str, name: &'static str) -> Program {
    Program { package, name }
}

const fn stamp(variable: &'static str, module: &'static str, form: Form) -> Stamp {
    Stamp { variable, module, form }
}

const fn manifest(module: &'static str, path: &'static str) -> Manifest {
    Manifest { module, path }
}

macro_rules! files {
    ($set:literal $(, $file:literal)*) => {
        &[$(($file, include_str!(concat!("../../tools/", $set, "/", $file)))),*]
    };
}

/// What both lines of Kubernetes consist of.
const KUBERNETES_PROGRAMS: &[Program] = &[
    program("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
    program("k8s.io/kubernetes/cmd/kube-controller-manager", "kube-controller-manager"),
    program("k8s.io/kubernetes/cmd/kube-proxy", "kube-proxy"),
    program("k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"),
    program("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
    program("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
];
/// Kubernetes' own module, whose version is the version of a line.
const KUBERNETES_MODULE: &str = "k8s.io/kubernetes";
const KUBERNETES_STAMPS: &[Stamp] = &[
    stamp("k8s.io/component-base/version.gitVersion", KUBERNETES_MODULE, Form::Tag),
    stamp("k8s.io/component-base/version.gitMajor", KUBERNETES_MODULE, Form::Major),
    stamp("k8s.io/component-base/version.gitMinor", KUBERNETES_MODULE, Form::Minor),
];

/// The newest Kubernetes we support.
pub const KUBERNETES: Set = Set {
    name: "kubernetes",
    files: files!("kubernetes", "go.mod", "go.sum"),
    programs: KUBERNETES_PROGRAMS,
    stamps: KUBERNETES_STAMPS,
    manifests: &[],
};
/// The oldest.
pub const KUBERNETES_OLD: Set = Set {
    name: "kubernetes-old",
    files: files!("kubernetes-old", "go.mod", "go.sum"),
    programs: KUBERNETES_PROGRAMS,
    stamps: KUBERNETES_STAMPS,
    manifests: &[],
};
/// What a node runs beside Kubernetes, and k3s' datastore.
pub const NODE: Set = Set {
    name: "node",
    files: files!("node", "go.mod", "go.sum"),
    programs: &[
        program("github.com/containerd/containerd/v2/cmd/containerd", "containerd"),
        program("github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", "containerd-shim-runc-v2"),
        program("github.com/containerd/containerd/v2/cmd/ctr", "ctr"),
        program("github.com/containernetworking/plugins/plugins/ipam/host-local", "host-local"),
        program("github.com/containernetworking/plugins/plugins/main/bridge", "bridge"),
        program("github.com/containernetworking/plugins/plugins/main/loopback", "loopback"),
        program("github.com/containernetworking/plugins/plugins/meta/portmap", "portmap"),
        program("github.com/k3s-io/kine", "kine"),
    ],
    stamps: &[stamp(
        "github.com/containerd/containerd/v2/version.Version",
        "github.com/containerd/containerd/v2",
        Form::Tag,
    )],
    manifests: &[],
};
/// Helm.
pub const HELM: Set = Set {
    name: "helm",
    files: files!("helm", "go.mod", "go.sum"),
    programs: &[program("helm.sh/helm/v4/cmd/helm", "helm")],
    stamps: &[stamp("helm.sh/helm/v4/internal/version.version", "helm.sh/helm/v4", Form::Tag)],
    manifests: &[],
};
const KWOK_MODULE: &str = "sigs.k8s.io/kwok";
/// kwok, which plays thousands of nodes that are not there, and the stages by which it plays them.
pub const KWOK: Set = Set {
    name: "kwok",
    files: files!("kwok", "go.mod", "go.sum"),
    programs: &[program("sigs.k8s.io/kwok/cmd/kwok", "kwok")],
    stamps: &[],
    manifests: &[
        manifest(KWOK_MODULE, "kustomize/stage/node/fast/node-initialize.yaml"),
        manifest(KWOK_MODULE, "kustomize/stage/pod/fast/pod-ready.yaml"),
        manifest(KWOK_MODULE, "kustomize/stage/pod/fast/pod-delete.yaml"),
        manifest(KWOK_MODULE, "kustomize/stage/volume/fast/pvc-provision.yaml"),
        manifest(KWOK_MODULE, "kustomize/stage/volume/fast/pv-delete.yaml"),
    ],
};
/// k3s' provisioner of volumes.
pub const LOCAL_PATH: Set = Set {
    name: "local-path",
    files: files!("local-path", "go.mod", "go.sum"),
    programs: &[program("github.com/rancher/local-path-provisioner", "local-path-provisioner")],
    stamps: &[],
    manifests: &[],
};
/// What holds a pod's namespaces: ours, and without any module.
pub const PAUSE: Set = Set {
    name: "pause",
    files: files!("pause", "go.mod", "main.go"),
    programs: &[program("tools/pause", "pause")],
    stamps: &[],
    manifests: &[],
};
/// Argo CD's own module.
const ARGOCD_MODULE: &str = "github.com/argoproj/argo-cd/v3";
/// Argo CD, one program with many names, its kinds, and the settings that it is installed with.
pub const ARGOCD: Set = Set {
    name: "argocd",
    files: files!("argocd", "go.mod", "go.sum"),
    programs: &[program("github.com/argoproj/argo-cd/v3/cmd", "argocd")],
    stamps: &[stamp("github.com/argoproj/argo-cd/v3/common.version", ARGOCD_MODULE, Form::Number)],
    manifests: &[
        manifest(ARGOCD_MODULE, "manifests/crds/application-crd.yaml"),
        manifest(ARGOCD_MODULE, "manifests/crds/appproject-crd.yaml"),
        manifest(ARGOCD_MODULE, "manifests/base/config/argocd-cm.yaml"),
    ],
};

/// Every set there is.
pub const ALL: &[Set] = &[PAUSE, NODE, HELM, LOCAL_PATH, KUBERNETES, KUBERNETES_OLD, ARGOCD, KWOK];

impl Set {
    /// The text of its `go.mod`.
    pub fn go_mod(&self) -> &'static str {
        self.files.iter().find(|(name, _)| *name == "go.mod").map_or("", |(_, text)| text)
    }

    /// The names of the files in [`MANIFESTS`].
    pub fn kept(&self) -> impl Iterator<Item = &'static str> {
        self.manifests.iter().filter_map(|manifest| manifest.path.rsplit('/').next())
    }

    /// What the linker is told: no symbols, and the versions.
    pub fn linker_flags(&self) -> Result<String> {
        let mut flags = String::from("-s -w");
        for stamp in self.stamps {
            let tag = go_mod::version_of(self.go_mod(), stamp.module)
                .with_context(|| format!("find {} in the go.mod of {}", stamp.module, self.name))?;
            let number = tag.trim_start_matches('v');
            let mut parts = number.split('.');
            let value = match stamp.form {
                Form::Tag => tag,
                Form::Number => number,
                Form::Major => parts.next().unwrap_or_default(),
                Form::Minor => parts.nth(1).unwrap_or_default(),
            };
            flags.extend([" -X ", stamp.variable, "=", value]);
        }
        Ok(flags)
    }
}

/// The version of Kubernetes that a set builds, `v1.36.3`.
pub fn kubernetes_version(set: &Set) -> Result<&'static str> {
    go_mod::version_of(set.go_mod(), KUBERNETES_MODULE)
        .with_context(|| format!("find {KUBERNETES_MODULE} in the go.mod of {}", set.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_builds_what_the_go_mod_names_as_tools() {
        for set in ALL {
            let mut packages: Vec<&str> = set.programs.iter().map(|program| program.package).collect();
            packages.sort_unstable();
            let tools = go_mod::tools(set.go_mod());
            // Our own program is no tool of its own module.
            let tools = if tools.is_empty() { vec![go_mod::module(set.go_mod()).unwrap()] } else { tools };
            assert_eq!(packages, tools, "{}", set.name);
        }
    }

    #[test]
    fn no_two_programs_that_can_be_wanted_together_share_a_name() {
        let mut names: Vec<&str> = ALL
            .iter()
            .filter(|set| **set != KUBERNETES_OLD)
            .flat_map(|set| set.programs.iter().map(|program| program.name))
            .collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn every_foreign_module_is_held_to_its_checksum() {
        for set in ALL {
            let foreign = set.go_mod().contains("require");
            let sums = set.files.iter().find(|(name, _)| *name == "go.sum").map_or("", |(_, text)| text);
            assert_eq!(foreign, sums.contains(" h1:"), "{}", set.name);
        }
    }

    #[test]
    fn the_two_lines_of_kubernetes_are_the_newest_and_the_oldest_we_support() {
        assert!(kubernetes_version(&KUBERNETES).unwrap().starts_with("v1.36."));
        assert!(kubernetes_version(&KUBERNETES_OLD).unwrap().starts_with("v1.33."));
    }

    #[test]
    fn a_line_of_kubernetes_takes_all_its_libraries_from_the_same_release() {
        for set in [KUBERNETES, KUBERNETES_OLD] {
            let library = kubernetes_version(&set).unwrap().replacen("v1.", "v0.", 1);
            let replaced = go_mod::replaced(set.go_mod());
            assert!(replaced.len() > 30, "{}", set.name);
            for (module, version) in replaced {
                assert_eq!(version, library, "{module} in {}", set.name);
            }
        }
    }

    #[test]
    fn programs_are_told_the_version_that_the_go_mod_names() {
        let version = kubernetes_version(&KUBERNETES).unwrap();
        let flags = KUBERNETES.linker_flags().unwrap();
        assert!(flags.starts_with(&format!("-s -w -X k8s.io/component-base/version.gitVersion={version} ")));
        let minor = version.split('.').nth(1).unwrap();
        assert!(
            flags.ends_with(&format!("gitMajor=1 -X k8s.io/component-base/version.gitMinor={minor}")),
            "{flags}"
        );
        assert_eq!(LOCAL_PATH.linker_flags().unwrap(), "-s -w");
        assert!(
            !ARGOCD.linker_flags().unwrap().contains("=v"),
            "Argo CD's own releases say it without the v"
        );
    }
}
