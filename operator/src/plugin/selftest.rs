//! `test`: lets a Reflector measure its own host, in its pod.

use anyhow::{Context as _, Result, bail};

use super::answer::Exit;
use super::args::{Format, Global};
use super::cluster::Cluster;
use super::{inside, logs};

/// Answers as `reflector self-test` does, with its exit codes. That ends within a minute.
pub(super) async fn run(cluster: &Cluster, reflector: &str, global: &Global) -> Result<Exit> {
    let pod = logs::pod(cluster, reflector).await?;
    let words = inside::words(&pod, told(global.output)?);
    cluster.stands_for(&words.join(" "));
    // Its streams are ours, and nothing else runs meanwhile.
    let ended = inside::kubectl(global, &cluster.namespace).args(&words).status();
    let ended = ended.context("start kubectl, which has to be on PATH")?;
    Ok(match ended.code() {
        Some(0) => Exit::Done,
        Some(2) => Exit::No,
        _ => Exit::Failed,
    })
}

fn told(format: Option<Format>) -> Result<&'static [&'static str]> {
    match format {
        None => Ok(&["self-test"]),
        Some(Format::Json) => Ok(&["self-test", "--json"]),
        Some(Format::Yaml) => bail!("a self-test answers in words or as json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_test_answers_in_words_or_as_json() {
        assert_eq!(told(None).unwrap(), ["self-test"]);
        assert_eq!(told(Some(Format::Json)).unwrap(), ["self-test", "--json"]);
        assert!(told(Some(Format::Yaml)).is_err());
    }
}
