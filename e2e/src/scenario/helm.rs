//! Helm in a scenario's namespace.

use std::ffi::OsStr;

use anyhow::Result;
use tokio::process::Command;

use super::story::{Scenario, output};

impl Scenario {
    /// What helm prints, in the scenario's namespace. It knows nothing of the user's repositories and plugins.
    pub async fn helm<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<String> {
        let mut helm = Command::new(self.bed.tools().join("helm"));
        helm.env("KUBECONFIG", self.bed.kubeconfig()).args(["--namespace", &self.namespace]).args(words);
        let own = self.bed.layout().folder().join("helm");
        for (variable, folder) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            helm.env(variable, own.join(folder));
        }
        output(helm).await
    }
}
