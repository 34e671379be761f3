//! The cluster of the story: a bed of our own, or one that somebody has; and how its commands are typed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::bed::Bed;
use e2e::parts::debian::find;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::super::screen::Screen;

/// Longer than the two minutes that helm and kubectl are told to wait, so that their own words are shown.
const LONGEST: Duration = Duration::from_secs(150);
/// The release, its namespace, and the chart.
pub(super) const RELEASE: &str = "reflector-operator";
pub(crate) const SYSTEM: &str = "reflector-system";
pub(super) const CHART: &str = "charts/reflector-operator";
/// The namespace of the samples.
pub(crate) const NAMESPACE: &str = "reflectors";
/// The Reflector of the samples.
pub(super) const REFLECTOR: &str = "attic";

/// Two images, as `REPOSITORY:TAG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Images {
    pub(crate) operator: String,
    pub(crate) reflector: String,
}

impl Images {
    /// What the chart is told about them.
    pub(super) fn values(&self) -> Result<String> {
        let part = |image: &str, at: &str| {
            let (repository, tag) = image
                .rsplit_once(':')
                .filter(|(_, tag)| !tag.contains('/'))
                .with_context(|| format!("the image '{image}' has no tag; write REPOSITORY:TAG"))?;
            anyhow::Ok(format!("{at}.repository={repository},{at}.tag={tag}"))
        };
        Ok(format!("{},{}", part(&self.operator, "image")?, part(&self.reflector, "reflector.image")?))
    }
}

/// A cluster, and what is needed to speak to it.
#[derive(Debug)]
pub(crate) struct Target {
    /// The bed, when it is ours.
    pub(crate) bed: Option<Bed>,
    /// Where the Reflector is to run.
    pub(crate) node: String,
    pub(crate) images: Images,
    kubeconfig: PathBuf,
    /// Where programs are looked for before the system's own places.
    folders: Vec<PathBuf>,
    /// Commands run here, so that paths in them are those of the tree.
    root: PathBuf,
    /// Helm's own files: nothing of the user's repositories and plugins.
    helm: PathBuf,
}

impl Target {
    /// A bed that runs. `folder` is for helm's files.
    pub(crate) fn bed(bed: Bed, root: &Path, plugin: &Path, folder: &Path) -> Self {
        let images = |name: &str| format!("localhost/{name}:demo");
        Self {
            kubeconfig: bed.kubeconfig(),
            folders: vec![bed.tools().to_owned(), plugin.to_owned()],
            bed: Some(bed),
            node: "node-1".to_owned(),
            images: Images { operator: images("reflector-operator"), reflector: images("reflector") },
            root: root.to_owned(),
            helm: folder.to_owned(),
        }
    }

    /// Somebody's cluster.
    pub(super) fn own(
        kubeconfig: &Path,
        node: &str,
        images: Images,
        root: &Path,
        plugin: &Path,
        folder: &Path,
    ) -> Result<Self> {
        let kubeconfig = std::path::absolute(kubeconfig).context("find the kubeconfig")?;
        ensure!(kubeconfig.is_file(), "there is no kubeconfig {}", kubeconfig.display());
        for program in ["kubectl", "helm"] {
            ensure!(
                find(program).is_some(),
                "{program} is not on the PATH: install it, or run without --kubeconfig"
            );
        }
        Ok(Self {
            bed: None,
            node: node.to_owned(),
            images,
            kubeconfig,
            folders: vec![plugin.to_owned()],
            root: root.to_owned(),
            helm: folder.to_owned(),
        })
    }

    /// What the chart is told.
    pub(crate) fn values(&self) -> Result<String> {
        // The bed's operator goes where its image was brought.
        let placed = self
            .bed
            .as_ref()
            .map_or_else(String::new, |_| format!(",nodeSelector.kubernetes\\.io/hostname={}", self.node));
        Ok(format!("{},reflectorNamespace.create=true{placed}", self.images.values()?))
    }

    /// Installs the chart and waits until the operator is ready; the command as one would type it.
    pub(crate) async fn install(&self) -> Result<String> {
        let values = self.values()?;
        let install = ["helm", "install", RELEASE, CHART, "--namespace", SYSTEM, "--create-namespace"];
        let words = install.into_iter().chain(["--set", &values, "--wait", "--timeout=2m"]);
        self.run(&words.collect::<Vec<_>>()).await?;
        Ok(format!("{} \\\n        --set {values} --wait", install.join(" ")))
    }

    /// A file of the tree.
    pub(super) fn sample(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Shows a command, runs it, shows what it says. It must succeed.
    pub(super) async fn typed(&self, screen: &Screen, words: &[&str]) -> Result<String> {
        screen.command(&shown(words));
        let said = self.run(words).await?;
        screen.output(said.trim_end());
        Ok(said)
    }

    /// Runs a command that must succeed, and returns what it prints.
    pub(crate) async fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.output(words).await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{}` failed ({}): {}", shown(words), output.status, told.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// An object of the story's namespace.
    pub(super) async fn object(&self, kind: &str, name: &str) -> Result<Value> {
        let text = self.run(&["kubectl", "-n", NAMESPACE, "get", kind, name, "-o", "json"]).await?;
        serde_json::from_str(&text).with_context(|| format!("understand {kind} {name}"))
    }

    /// Waits through a watch, without a word, until a field of an object has this value.
    pub(super) async fn wait(&self, object: &str, field: &str, value: &str) -> Result<()> {
        let until = format!("--for=jsonpath={{{field}}}={value}");
        let words = ["kubectl", "-n", NAMESPACE, "wait", &until, object, "--timeout=2m"];
        self.run(&words).await.map(drop)
    }

    async fn output(&self, words: &[&str]) -> Result<Output> {
        let name = words.first().context("no command")?;
        let program = self.folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        let program = program.or_else(|| find(name)).with_context(|| format!("find the program {name}"))?;
        let mut command = Command::new(program);
        command.args(words.iter().skip(1)).current_dir(&self.root);
        command.env("KUBECONFIG", &self.kubeconfig).env("PATH", self.path()?);
        for (variable, part) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, self.helm.join(part));
        }
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = timeout(LONGEST, output).await;
        let output = output.with_context(|| format!("`{}` did not end within {LONGEST:?}", shown(words)))?;
        output.with_context(|| format!("start {name}"))
    }

    /// kubectl finds its plugins here.
    #[expect(clippy::disallowed_methods, reason = "what is not ours is where the user has it")]
    fn path(&self) -> Result<OsString> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = self.folders.iter().cloned().chain(std::env::split_paths(&path));
        std::env::join_paths(all).context("put kubectl on the PATH")
    }
}

/// A command as one would type it.
fn shown(words: &[&str]) -> String {
    let quoted = |word: &&str| {
        if word.contains(|c: char| " {}\"$*".contains(c)) { format!("'{word}'") } else { (*word).to_owned() }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_become_the_charts_values_and_one_without_a_tag_is_refused() {
        let images = |operator: &str| Images { operator: operator.into(), reflector: "host:5000/r:2".into() };
        assert_eq!(
            images("o:1").values().unwrap(),
            "image.repository=o,image.tag=1,reflector.image.repository=host:5000/r,reflector.image.tag=2"
        );
        for bad in ["o", "host:5000/o"] {
            assert!(images(bad).values().unwrap_err().to_string().contains("write REPOSITORY:TAG"), "{bad}");
        }
    }

    #[test]
    fn a_command_is_shown_so_that_a_shell_takes_it() {
        assert_eq!(shown(&["kubectl", "patch", r#"{"a": 1}"#]), r#"kubectl patch '{"a": 1}'"#);
    }
}
