//! The command line, with kubectl's own flags where it has one.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Options of every command, apart from its own.
const EVERYWHERE: &str = "Options of every command";
const EXAMPLES: &str = "\
Examples:
  kubectl reflector status
        Every fleet and Reflector of the namespace with what is not as it should be.
  kubectl reflector pair living-room --reflector attic --wait
        A code for one appliance, and what became of it.
  kubectl reflector revoke living-room
        Ends its sessions, and says how long that took.
  kubectl reflector test attic --from-here
        Measures from this machine to a Reflector.
  kubectl reflector why living-room
        What its conditions and its last denials mean, and what to do.

Exit codes:
  0   done
  1   not done; standard error says why and what to do
  2   answered, and the answer is no: something is not Ready, nobody came in time, a test was denied
  3   part of it: a claim waits for approval, the key of a Reflector could not be read, a test was cut
  64  the command line is wrong

It finds the API server as kubectl does, and can do what you can do.
What it writes stands under the field manager packetparamedic-cli.";

/// Looks after reflectors and the appliances that may measure against them.
#[derive(Debug, Parser)]
#[command(name = "kubectl reflector", bin_name = "kubectl reflector", version, after_long_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The namespace; the context's own, when left out.
    #[arg(short, long, global = true, help_heading = EVERYWHERE, value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// The context of the kubeconfig.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// The kubeconfig; $KUBECONFIG or ~/.kube/config, when left out.
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// For programs: json or yaml.
    #[arg(short, long, global = true, help_heading = EVERYWHERE, value_enum, value_name = "FORMAT")]
    pub(super) output: Option<Format>,
    /// Print the kubectl command that each step stands for to standard error.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(super) verbose: bool,
}

/// A form for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Command {
    /// Whether it has an answer for programs.
    pub(super) fn takes_output(&self) -> bool {
        !matches!(
            self,
            Self::Drain(_) | Self::Revoke(_) | Self::Logs(_) | Self::Report | Self::Completion { .. }
        )
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Fleets, Reflectors and peers as a tree, with what is not as it should be.
    Status {
        /// This Reflector only, with every condition.
        #[arg(value_name = "REFLECTOR")]
        reflector: Option<String>,
    },
    /// Every peer: who may test where, and what it used today.
    Peers,
    /// Makes a peer and shows the code to enter on its appliance.
    Pair(Pair),
    /// Lets an appliance in that presented a code and waits for approval.
    Approve(Approve),
    /// Shuts a peer out now, and says how long it took.
    Revoke(Revoke),
    /// What the conditions of a peer, a Reflector or a fleet and its last denials mean, and what to do.
    Why {
        /// Its name, or peer/NAME, reflector/NAME, fleet/NAME.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Every peer as a manifest with its Endpoint ID in spec, ready for git.
    Export {
        /// Instead, every Reflector's private key as a Secret that spec.identity.importSecretRef takes. Not for git. It takes
        /// the right to start programs in pods (create pods/exec).
        #[arg(long)]
        identities: bool,
    },
    /// Lets running tests end and denies new ones, until --undo.
    Drain(Drain),
    /// What a Reflector's pod logs.
    Logs(Logs),
    /// Lets a Reflector measure its own host, or, with --from-here, measures the path to it.
    Test(Test),
    /// Everything a person who helps needs: objects, events, logs. Secrets are not read.
    Report,
    /// Prints a completion script.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Options of `pair`.
#[derive(Debug, Args)]
pub(super) struct Pair {
    /// Name of the peer: what you call the appliance.
    pub(super) name: String,
    /// The Reflector it may use; the namespace's only one, when neither is given.
    #[arg(long, value_name = "REFLECTOR", conflicts_with = "fleet")]
    pub(super) reflector: Option<String>,
    /// The fleet of which it may use each member.
    #[arg(long, value_name = "FLEET")]
    pub(super) fleet: Option<String>,
    /// How long the code lives, such as 10m.
    #[arg(long, value_name = "DURATION")]
    pub(super) ttl: Option<String>,
    /// Wait until the appliance came or the code expired.
    #[arg(long)]
    pub(super) wait: bool,
    /// A new code, for a peer that has one or is paired.
    #[arg(long)]
    pub(super) again: bool,
    #[command(flatten)]
    pub(super) force: Force,
}

/// Options of `approve`.
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The peer.
    pub(super) peer: String,
    /// The confirm code as the appliance shows it; without it you are asked.
    #[arg(long, value_name = "GROUPS")]
    pub(super) confirm: Option<String>,
    #[command(flatten)]
    pub(super) force: Force,
}

/// Options of `revoke`.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The peer.
    pub(super) peer: String,
    /// How long to wait for every reflector to say that it is done.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) force: Force,
}

/// Options of `drain`.
#[derive(Debug, Args)]
pub(super) struct Drain {
    /// The Reflector.
    pub(super) reflector: String,
    /// Serve again.
    #[arg(long)]
    pub(super) undo: bool,
    /// How long to wait for the last test to end. The longest test takes 5 minutes.
    #[arg(long, value_name = "DURATION", default_value = "6m", value_parser = duration)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) force: Force,
}

/// Options of `logs`.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The Reflector.
    pub(super) reflector: String,
    /// Go on as it logs more.
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Of the container before this one: why it ended.
    #[arg(short, long)]
    pub(super) previous: bool,
    /// Only the last lines.
    #[arg(long, value_name = "LINES")]
    pub(super) tail: Option<i64>,
}

/// Options of `test`.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The Reflector.
    pub(super) reflector: String,
    /// Measure from this machine to it, with the program reflector, beside this one or on PATH. This machine has to be
    /// a peer there: pair it once, with a code behind -- --code
    #[arg(long)]
    pub(super) from_here: bool,
    /// Where it is reached from here, instead of the first address in its status.
    #[arg(long, value_name = "HOST:PORT", requires = "from_here")]
    pub(super) address: Option<String>,
    /// More for the program's own test command, such as: -- --down -t 30
    #[arg(last = true, value_name = "OPTIONS", requires = "from_here")]
    pub(super) more: Vec<String>,
}

/// For commands that edit a spec.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Force {
    /// Edit an object that Argo CD or Flux keeps as it is in git, until they put it back.
    #[arg(long)]
    pub(super) force: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no duration: write one such as 30s or 5m");
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u32 = number.parse().map_err(|_| bad())?;
    let second = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(bad()),
    };
    Ok(Duration::from_secs(u64::from(number) * second))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_and_option_says_what_it_is() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{}", sub.get_name());
            for argument in sub.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {argument}", sub.get_name());
            }
        }
    }

    #[test]
    fn kubectls_flags_may_stand_anywhere() {
        for words in [["-n", "lab", "peers"], ["peers", "-n", "lab"]] {
            let cli = Cli::try_parse_from(["kubectl-reflector"].iter().chain(&words)).unwrap();
            assert_eq!(cli.global.namespace.as_deref(), Some("lab"));
        }
        let both = ["k", "pair", "a", "--reflector", "r", "--fleet", "f"];
        assert!(Cli::try_parse_from(both).is_err());
    }

    /// Words where a program waits for JSON would be worse than none.
    #[test]
    fn a_command_without_an_answer_for_programs_says_so() {
        for (words, takes) in [(["k", "peers", "-ojson"], true), (["k", "report", "-ojson"], false)] {
            let cli = Cli::try_parse_from(words).unwrap();
            assert_eq!((cli.command.takes_output(), cli.global.output), (takes, Some(Format::Json)));
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for bad in ["5", "m", "-1s", "1d", "99999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
