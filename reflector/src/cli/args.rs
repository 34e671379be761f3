//! The command line, as clap reads it. Help texts beyond one line are in `help`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use crds::EndpointId;
use crds::peer::{MAX_PAIRING_TTL, MIN_PAIRING_TTL};

use super::help;
use super::measure::{TestArgs, code};
use crate::client::Address;
use crate::config::{check_value, duration};

/// The endpoint PacketParamedic appliances measure their network against
///
/// A reflector has a cryptographic identity, lets in only the appliances it was paired with, and lets them run
/// throughput and echo tests within the limits you set.
#[derive(Debug, Parser)]
#[command(name = "reflector", version, after_long_help = help::REFLECTOR, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub(super) struct Global {
    #[arg(short, long, global = true, help_heading = help::EVERYWHERE, help = help::CONFIG_OPTION, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// Log this much to standard error: off, error, warn, info, debug, trace, or a tracing filter
    #[arg(long, global = true, help_heading = help::EVERYWHERE, value_name = "LEVEL", value_parser = level)]
    pub(super) log_level: Option<String>,
    #[arg(long, global = true, help_heading = help::EVERYWHERE, help = help::COLOUR_OPTION, value_name = "WHEN", value_enum, default_value_t)]
    pub(super) color: Colour,
}

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the reflector until it is told to stop
    #[command(after_long_help = help::SERVE)]
    Serve {
        #[arg(short, long, help = help::BIND_OPTION, value_name = "ADDR", value_parser = address)]
        bind: Option<SocketAddr>,
    },
    /// Open a pairing window on the running reflector and print its code
    #[command(after_long_help = help::PAIR)]
    Pair {
        /// How long the code lives: 90s, 10m, 1h; a bare number is seconds, at most 24h
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = ttl)]
        ttl: Duration,
        /// Close the open window instead
        #[arg(long, conflicts_with = "ttl")]
        close: bool,
        #[command(flatten)]
        json: Json,
    },
    /// List, add, remove or revoke the appliances that may connect
    #[command(subcommand, arg_required_else_help = true, after_long_help = help::PEERS)]
    Peers(Peers),
    /// Replace our key by a new one, signed by the old
    #[command(after_long_help = help::ROTATE)]
    RotateIdentity {
        #[command(flatten)]
        json: Json,
    },
    /// Say whether the running reflector would accept a test now
    #[command(after_long_help = help::STATUS)]
    Status {
        #[command(flatten)]
        json: Json,
    },
    /// Print our Endpoint ID
    #[command(after_long_help = help::SHOW_ID)]
    ShowId {
        #[command(flatten)]
        json: Json,
    },
    /// Print our private key: whoever has it is this reflector
    #[command(after_long_help = help::EXPORT_IDENTITY)]
    ExportIdentity {
        /// Yes, the private key
        #[arg(long, required = true)]
        private_key: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Check whether this host can serve tests, and how fast
    #[command(after_long_help = help::SELF_TEST)]
    SelfTest {
        #[command(flatten)]
        json: Json,
    },
    /// Measure the path to a reflector: throughput both ways, delay, and what limits them
    #[command(after_long_help = help::TEST)]
    Test(TestArgs),
    /// Let a stock iperf3 on this host measure through a reflector's tunnel
    #[command(after_long_help = help::CONNECT)]
    Connect {
        /// The reflector: PP-…@host:port; its owner sees the ID with `reflector show-id`
        #[arg(value_name = "ADDRESS")]
        reflector: Address,
        /// Listen for iperf3 on this port of loopback; 0 takes any free one
        #[arg(long, value_name = "PORT", default_value_t = 5201)]
        forward: u16,
        /// Pair with this code first; `reflector pair` over there prints one
        #[arg(long, value_name = "CODE", value_parser = code)]
        code: Option<String>,
    },
    /// Work with the audit log
    #[command(subcommand, arg_required_else_help = true, after_long_help = help::AUDIT)]
    Audit(Audit),
    /// Check the configuration or show what is in force
    #[command(subcommand, arg_required_else_help = true, after_long_help = help::CONFIG)]
    Config(Config),
    /// Print a completion script for a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the man pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
}

/// `--json`
#[derive(Debug, Args)]
pub(super) struct Json {
    /// Answer in JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Peers {
    /// List the appliances that may connect, and what they have used today
    #[command(after_long_help = help::PEERS_LIST)]
    List {
        #[command(flatten)]
        json: Json,
    },
    /// Let an appliance connect
    #[command(after_long_help = help::PEERS_ADD)]
    Add {
        /// The appliance's Endpoint ID (PP-…)
        endpoint_id: EndpointId,
        /// Object name; default: peer- and the first two groups of the ID
        #[arg(long, value_name = "NAME", value_parser = name)]
        name: Option<String>,
        /// What a person calls it
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// Forget an appliance: its connections are cut; it may pair again
    #[command(after_long_help = help::PEERS_REMOVE)]
    Remove {
        /// Name or Endpoint ID
        peer: String,
        #[command(flatten)]
        json: Json,
    },
    /// Shut an appliance out: its connections are cut and it cannot pair again
    #[command(after_long_help = help::PEERS_REVOKE)]
    Revoke {
        /// Name or Endpoint ID
        peer: String,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Print the audit log with its rotated files, to keep it elsewhere
    #[command(after_long_help = help::AUDIT_EXPORT)]
    Export {
        /// Files of one log, oldest first; default: the configured log with its rotated files
        #[arg(value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Find lines of the audit log that were removed, changed or reordered
    #[command(after_long_help = help::AUDIT_VERIFY)]
    Verify {
        /// Files of one log, oldest first; default: the configured log with its rotated files
        #[arg(value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Read the configuration and say everything that is wrong with it
    #[command(after_long_help = help::CONFIG_CHECK)]
    Check {
        #[command(flatten)]
        json: Json,
    },
    /// Print every key with the value in force and where it comes from
    #[command(after_long_help = help::CONFIG_SHOW)]
    Show {
        #[command(flatten)]
        json: Json,
    },
    /// Print the reference page
    #[command(hide = true)]
    Reference,
}

fn level(text: &str) -> Result<String, String> {
    check_value("logging.level", text).map(|()| text.trim().to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    check_value("network.listen_address", text)?;
    text.trim().parse().map_err(|_| "must be an IP address and a port".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    check_value("access.name", text).map(|()| text.to_owned())
}

fn ttl(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(ttl) if !(MIN_PAIRING_TTL..=MAX_PAIRING_TTL).contains(&ttl) => {
            Err("must be from 1s to 24h, such as 10m".to_owned())
        }
        Ok(ttl) => Ok(ttl),
        Err(error) => Err(error.to_string()),
    }
}
