//! Every option of `reflector-operator`, with the variable that sets it.

#![expect(clippy::doc_markdown, reason = "the help is printed as it stands")]

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

use crate::run::Options;
use crate::settings::{Settings, split_reference};

/// The tag of an image that names none: what was released together is used together.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const EXAMPLES: &str = "\
It finds the API server as kubectl does: $KUBECONFIG, ~/.kube/config, or, in a pod, its account.

Examples:
  reflector-operator
        All namespaces, alone.
  reflector-operator --leader-elect --log-format json
        One of several replicas: the one that holds the Lease writes, the others keep their caches warm.
  KUBECONFIG=./admin.conf reflector-operator --namespace lab --admin-addr 127.0.0.1:0
        From a workstation, for one namespace. Port 0: the log says which one was taken.

Signals: SIGTERM and SIGINT end what was begun, give up the Lease and exit.

Exit status: 0 after a signal, 1 when something it needs has failed (the Lease was lost, for instance),
2 when the command line cannot be understood.";

/// Makes Reflector objects true: runs each as one pod with its identity, and says in its status how it is.
#[derive(Debug, Parser)]
#[command(name = "reflector-operator", version, after_long_help = EXAMPLES)]
pub struct Cli {
    /// Watch this namespace only; all, when left out.
    ///
    /// Nodes and StorageClasses are read in either case: they belong to no namespace.
    #[arg(long, value_name = "NAMESPACE", env = "REFLECTOR_OPERATOR_NAMESPACE")]
    namespace: Option<String>,

    /// Where /livez, /readyz and /metrics answer in plain HTTP.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "REFLECTOR_OPERATOR_ADMIN_ADDR",
        default_value = "0.0.0.0:7302"
    )]
    admin_addr: SocketAddr,

    /// Write only while holding a Lease, so that several may run.
    ///
    /// A holder renews every 15 s, stops writing 40 s after its last renewal and is replaced after 60 s. Leave it out
    /// with one replica: a Lease that nobody else wants is a write to the datastore every 15 s.
    #[arg(long, env = "REFLECTOR_OPERATOR_LEADER_ELECT")]
    leader_elect: bool,

    /// Namespace of the Lease; the operator's own, when left out.
    #[arg(long, value_name = "NAMESPACE", env = "REFLECTOR_OPERATOR_LEASE_NAMESPACE")]
    lease_namespace: Option<String>,

    /// Name of the Lease.
    #[arg(
        long,
        value_name = "NAME",
        env = "REFLECTOR_OPERATOR_LEASE_NAME",
        default_value = "reflector-operator"
    )]
    lease_name: String,

    /// What this process is called in the Lease and in events: the pod's name.
    #[arg(long, value_name = "NAME", env = "POD_NAME", default_value = "reflector-operator")]
    instance: String,

    /// The image of reflectors whose spec names none. Without a tag, this release's.
    #[arg(
        long,
        value_name = "IMAGE",
        env = "REFLECTOR_OPERATOR_REFLECTOR_IMAGE",
        default_value = "packetparamedic/reflector"
    )]
    reflector_image: String,

    /// A repository that spec.image may name, besides that of --reflector-image. May be given several times; in the
    /// variable they are separated by commas.
    ///
    /// Whoever may write Reflectors could otherwise run any image on a node's own network.
    #[arg(
        long,
        value_name = "REPOSITORY",
        env = "REFLECTOR_OPERATOR_ALLOWED_REPOSITORIES",
        value_delimiter = ','
    )]
    allow_repository: Vec<String>,

    /// The ClusterRole that the account of each reflector is bound to, in its own namespace.
    #[arg(
        long,
        value_name = "NAME",
        env = "REFLECTOR_OPERATOR_ENDPOINT_ROLE",
        default_value = "reflector-endpoint"
    )]
    endpoint_role: String,

    /// What goes to standard error: error, warn, info, debug or trace, also by module.
    #[arg(long, value_name = "FILTER", env = "REFLECTOR_OPERATOR_LOG_LEVEL", default_value = "info")]
    pub(super) log_level: String,

    /// Lines for people, or one JSON object a line.
    #[arg(long, value_enum, env = "REFLECTOR_OPERATOR_LOG_FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
}

/// The form of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Cli {
    pub(super) fn options(self) -> Options {
        let (repository, tag) = split_reference(&self.reflector_image);
        let mut allowed_repositories = vec![repository.to_owned()];
        allowed_repositories.extend(self.allow_repository.into_iter().filter(|one| !one.is_empty()));
        Options {
            namespace: self.namespace.filter(|namespace| !namespace.is_empty()),
            admin: self.admin_addr,
            lease: self.leader_elect.then_some((self.lease_namespace, self.lease_name)),
            instance: self.instance,
            settings: Settings {
                repository: repository.to_owned(),
                tag: tag.unwrap_or(VERSION).to_owned(),
                allowed_repositories,
                cluster_role: self.endpoint_role,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn options(words: &[&str]) -> Options {
        Cli::try_parse_from(["reflector-operator"].iter().chain(words)).unwrap().options()
    }

    #[test]
    fn every_option_has_a_variable_and_says_what_it_is() {
        let command = Cli::command();
        command.clone().debug_assert();
        for argument in
            command.get_arguments().filter(|one| !["help", "version"].contains(&one.get_id().as_str()))
        {
            assert!(argument.get_env().is_some(), "{argument}");
            assert!(argument.get_help().is_some_and(|help| !help.to_string().is_empty()), "{argument}");
        }
    }

    #[test]
    fn the_images_own_repository_is_always_allowed() {
        let settings =
            options(&["--reflector-image", "example.net:5000/r:2", "--allow-repository", "a,b"]).settings;
        assert_eq!((settings.repository.as_str(), settings.tag.as_str()), ("example.net:5000/r", "2"));
        assert_eq!(settings.allowed_repositories, ["example.net:5000/r", "a", "b"]);
        assert_eq!(options(&[]).settings.tag, VERSION);
    }

    #[test]
    fn alone_is_the_default_and_an_election_is_in_our_own_namespace() {
        assert_eq!(options(&[]).lease, None);
        assert_eq!(options(&["--leader-elect"]).lease, Some((None, "reflector-operator".into())));
        assert_eq!(options(&["--namespace", "lab"]).namespace.as_deref(), Some("lab"));
    }
}
