//! `test --from-here`: measures from this machine against a Reflector, with the client of the `reflector` program.
//!
//! In: what the Reflector's status says of where it is and who it is. Out: this process becomes `reflector test`, so its words,
//! its exit codes and what Ctrl-C does are that program's. Where there is none, the command to run elsewhere.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use crds::Reflector;
use kube::ResourceExt as _;
use tokio::time::timeout;

use super::answer::Exit;
use super::args::{Format, Test};
use super::cluster::Cluster;

/// The program, beside this one or on PATH.
const PROGRAM: &str = "reflector";
/// What the help of ours has and that of another program of this name has not: distributions have one that sorts mirrors.
const OURS: &str = "PP-";
/// For a program to show its help.
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) async fn run(cluster: &Cluster, wanted: &Test, format: Option<Format>) -> Result<Exit> {
    let reflector: Reflector = cluster.get(&wanted.reflector).await?;
    let told = told(&reflector, wanted, format)?;
    let elsewhere = format!("{PROGRAM} {}", told.join(" "));
    cluster.says(&elsewhere);
    for program in places() {
        if is_ours(&program).await {
            // Comes back only when it could not be started.
            let error = Command::new(&program).args(&told).exec();
            return Err(error).with_context(|| format!("start {}", program.display()));
        }
    }
    bail!(
        "there is no program {PROGRAM} of ours beside this one or on PATH, and it does the measuring: install it from the same \
         release, or run where it is: {elsewhere}"
    )
}

/// What the program is told. The Endpoint ID in the address is the only key that it accepts.
fn told(reflector: &Reflector, wanted: &Test, format: Option<Format>) -> Result<Vec<String>> {
    let name = reflector.name_any();
    let status = reflector.status.clone().unwrap_or_default();
    let id = status.endpoint_id.ok_or_else(|| {
        anyhow!("{name} has no Endpoint ID yet, so nobody could tell it from an impostor: kubectl reflector why {name}")
    })?;
    let at = wanted.address.clone().or_else(|| status.addresses.first().cloned());
    let at = at.ok_or_else(|| {
        anyhow!("{name} has no address yet: kubectl reflector why {name}, or say --address HOST:PORT")
    })?;
    let mut told = vec!["test".to_owned(), format!("{id}@{at}")];
    match format {
        None => {}
        Some(Format::Json) => told.push("--json".to_owned()),
        Some(Format::Yaml) => bail!("a test answers in words or as json"),
    }
    told.extend(wanted.more.iter().cloned());
    Ok(told)
}

/// Where the program may be, the likeliest first.
#[expect(clippy::disallowed_methods, reason = "where a person's programs are is in the environment")]
fn places() -> Vec<PathBuf> {
    let own = std::env::current_exe().ok();
    let path = std::env::var_os("PATH");
    among(own.as_deref().and_then(Path::parent), path)
}

fn among(beside: Option<&Path>, path: Option<OsString>) -> Vec<PathBuf> {
    let path = path.map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    // An empty entry would mean wherever one happens to stand.
    let folders = beside.map(Path::to_owned).into_iter().chain(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(PROGRAM)).collect()
}

/// Whether a program is there and is the one that measures.
async fn is_ours(program: &Path) -> bool {
    let mut asked = tokio::process::Command::new(program);
    asked.args(["test", "--help"]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    matches!(timeout(DEADLINE, asked.output()).await, Ok(Ok(output)) if is_its_help(&output))
}

fn is_its_help(output: &Output) -> bool {
    output.status.success() && String::from_utf8_lossy(&output.stdout).contains(OURS)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;
    use crate::plugin::testing::yaml;

    fn wanted(address: Option<&str>, more: &[&str]) -> Test {
        Test {
            reflector: "attic".into(),
            from_here: true,
            address: address.map(str::to_owned),
            more: more.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    fn attic(status: &str) -> Reflector {
        yaml(&format!("{{ metadata: {{ name: attic }}, spec: {{}}, status: {status} }}"))
    }

    #[test]
    fn it_is_measured_where_the_status_says_with_the_key_pinned() {
        let attic = attic("{ endpointId: PP-AAAA, addresses: ['192.0.2.10:4000', '[2001:db8::1]:4000'] }");
        let words = told(&attic, &wanted(None, &["--down", "-t", "5"]), Some(Format::Json)).unwrap();
        assert_eq!(words, ["test", "PP-AAAA@192.0.2.10:4000", "--json", "--down", "-t", "5"]);
        let words = told(&attic, &wanted(Some("attic.example"), &[]), None).unwrap();
        assert_eq!(words, ["test", "PP-AAAA@attic.example"]);
        assert!(told(&attic, &wanted(None, &[]), Some(Format::Yaml)).is_err());
    }

    #[test]
    fn a_reflector_that_is_nowhere_or_nobody_yet_is_not_measured() {
        for (status, says) in [("{}", "no Endpoint ID yet"), ("{ endpointId: PP-AAAA }", "no address yet")] {
            let error = told(&attic(status), &wanted(None, &[]), None).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("kubectl reflector why attic"), "{error}");
        }
    }

    #[test]
    fn it_is_looked_for_beside_this_program_and_then_on_the_path() {
        let found = among(Some(Path::new("/opt/kubectl")), Some("/usr/bin::here:/bin".into()));
        assert_eq!(
            found,
            ["/opt/kubectl/reflector", "/usr/bin/reflector", "/bin/reflector"].map(PathBuf::from)
        );
        assert!(among(None, None).is_empty());
    }

    #[test]
    fn another_program_of_the_name_is_passed_over() {
        let said = |code: i32, out: &str| Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: out.into(),
            stderr: vec![],
        };
        assert!(is_its_help(&said(0, "PP-…@host:port of a reflector")));
        assert!(!is_its_help(&said(0, "retrieve and filter a list of mirrors")));
        assert!(!is_its_help(&said(2, "PP-")));
    }

    #[tokio::test]
    async fn where_there_is_no_program_none_is_ours() {
        assert!(!is_ours(Path::new("/nowhere/reflector")).await);
    }
}
