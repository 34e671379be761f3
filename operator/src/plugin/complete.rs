//! Completions: scripts for a shell, and what kubectl asks a link named `kubectl_complete-reflector`. Pure.

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::args::Cli;

/// kubectl is not to offer file names.
const NO_FILES: &str = ":4\n";

/// The completion script of a shell, for the program under its own name.
pub(super) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubectl-reflector", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// What may come next after these words, of which the last is being typed; as kubectl wants it.
pub(super) fn complete(words: &[String]) -> String {
    let command = Cli::command();
    let (typed, before) =
        words.split_last().map_or(("", &[][..]), |(typed, before)| (typed.as_str(), before));
    let chosen = before.iter().find_map(|word| command.find_subcommand(word));
    let mut offers: Vec<String> = if typed.starts_with('-') {
        flags(&command).chain(chosen.into_iter().flat_map(flags)).collect()
    } else if chosen.is_none() {
        command
            .get_subcommands()
            .map(|sub| {
                let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
                format!("{}\t{about}", sub.get_name())
            })
            .collect()
    } else {
        vec![]
    };
    offers.retain(|offer| offer.starts_with(typed));
    offers.iter().map(|offer| format!("{offer}\n")).chain([NO_FILES.to_owned()]).collect()
}

fn flags(command: &Command) -> impl Iterator<Item = String> {
    command.get_arguments().filter_map(|argument| {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        Some(format!("--{}\t{help}", argument.get_long()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let text = complete(&words);
        let lines = text.strip_suffix(NO_FILES).expect("it ends as kubectl wants it");
        lines.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn commands_and_their_flags_are_offered() {
        assert_eq!(offered(&["p"]), ["peers", "pair"]);
        assert!(offered(&[]).contains(&"status".to_owned()));
        assert_eq!(offered(&["pair", "--fl"]), ["--fleet"]);
        assert_eq!(offered(&["-n", "lab", "drain", "--un"]), ["--undo"]);
        assert!(offered(&["pair", "k"]).is_empty(), "a name that is new cannot be known");
    }

    #[test]
    fn every_shell_gets_a_script_that_knows_our_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(script(shell).contains("revoke"), "{shell}");
        }
    }
}
