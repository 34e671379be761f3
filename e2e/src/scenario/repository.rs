//! Git repositories that Argo CD on the bed reads: a folder, published; changed and committed as a person would.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::story::{Scenario, output};

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(pub(super) String);

/// A repository on the bed's git server. It goes with the bed.
#[derive(Debug)]
pub struct Repository {
    folder: PathBuf,
    url: String,
}

impl Scenario {
    /// Publishes a copy of a folder as a repository with one commit.
    pub async fn publish(&self, folder: &Path) -> Result<(Repository, Revision)> {
        self.publish_called(&self.namespace, folder).await
    }

    /// The same for one more repository.
    pub async fn publish_as(&self, name: &str, folder: &Path) -> Result<(Repository, Revision)> {
        self.publish_called(&format!("{}-{name}", self.namespace), folder).await
    }

    /// A scenario's namespace is nobody else's.
    async fn publish_called(&self, name: &str, folder: &Path) -> Result<(Repository, Revision)> {
        let host = self.bed.argocd().context("this bed has no Argo CD: cargo bed up --argocd")?;
        let repository = Repository { folder: host.folder.join(name), url: format!("{}{name}", host.url) };
        copy(folder, &repository.folder)?;
        repository.git(["init", "--quiet", "--initial-branch=main"]).await?;
        let first = repository.commit("Begin").await?;
        Ok((repository, first))
    }
}

impl Repository {
    /// Where git clients on the bed's network find it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Writes a file. Nobody sees it before the next commit.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.folder.join(path);
        let parent = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).with_context(|| format!("make the folder {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }

    /// What a file says.
    pub fn read(&self, path: &str) -> Result<String> {
        let file = self.folder.join(path);
        fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
    }

    /// Changes what a file says; the words must be there.
    pub fn replace(&self, path: &str, from: &str, to: &str) -> Result<()> {
        let text = self.read(path)?;
        ensure!(text.contains(from), "{path} does not say '{from}'");
        self.write(path, &text.replace(from, to))
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) -> Result<()> {
        let path = self.folder.join(path);
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
    }

    /// Commits everything that was changed. With nothing changed it fails.
    pub async fn commit(&self, message: &str) -> Result<Revision> {
        self.git(["add", "--all"]).await?;
        self.git(["commit", "--quiet", "--message", message]).await?;
        Ok(Revision(self.git(["rev-parse", "HEAD"]).await?.trim().to_owned()))
    }

    async fn git<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<String> {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.folder).args(["-c", "user.name=bed", "-c", "user.email=bed@localhost"]);
        // Hooks, signatures and templates are the user's own affair.
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").args(words);
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(variable);
        }
        output(git).await
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("make the folder {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let path = entry.with_context(|| format!("list {}", from.display()))?.path();
        let into = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &into)?;
        } else {
            fs::copy(&path, &into).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_commit_is_another_revision_and_an_empty_one_is_an_error() {
        let (source, served) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(source.path().join("inner")).unwrap();
        fs::write(source.path().join("inner/file"), "blue").unwrap();
        let repository = Repository { folder: served.path().join("repository"), url: String::new() };
        copy(source.path(), &repository.folder).unwrap();
        repository.git(["init", "--quiet", "--initial-branch=main"]).await.unwrap();
        let first = repository.commit("Begin").await.unwrap();
        assert!(repository.commit("Nothing").await.is_err());
        repository.replace("inner/file", "blue", "green").unwrap();
        assert!(repository.replace("inner/file", "blue", "red").is_err());
        let second = repository.commit("Repaint").await.unwrap();
        assert_ne!(first, second);
        assert_eq!(repository.git(["show", "HEAD:inner/file"]).await.unwrap(), "green");
        assert_eq!(fs::read_to_string(source.path().join("inner/file")).unwrap(), "blue");
        repository.remove("inner/file").unwrap();
        repository.commit("Remove").await.unwrap();
        assert!(repository.git(["show", "HEAD:inner/file"]).await.is_err());
    }
}
