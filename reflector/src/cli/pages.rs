//! What is generated from the command line itself: completions and man pages.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Cli;

/// The completion script of a shell.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reflector", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// File name and text of every man page.
pub fn man_pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(&root, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let source = concat!("reflector ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual("PacketParamedic reflector");
    let mut page = Vec::new();
    man.render(&mut page)?;
    pages.push((man.get_filename(), page));
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| collect(sub, pages))
}

/// Writes every man page into a folder.
pub(super) fn write_man_pages(dir: &Path) -> io::Result<usize> {
    let pages = man_pages()?;
    for (name, page) in &pages {
        std::fs::write(dir.join(name), page)?;
    }
    Ok(pages.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_man_page_is_up_to_date() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man");
        let command = "cargo run -q -p reflector -- man docs/man";
        let pages = man_pages().unwrap();
        for (name, page) in &pages {
            let kept = std::fs::read(dir.join(name)).unwrap_or_default();
            assert!(kept == *page, "docs/man/{name} is stale; run: {command}");
        }
        for entry in std::fs::read_dir(&dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                pages.iter().any(|(page, _)| *page == name),
                "docs/man/{name} belongs to no command; remove it"
            );
        }
    }

    #[test]
    fn every_shell_gets_a_script_that_knows_our_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completions(shell);
            assert!(script.contains("rotate-identity") && script.contains("reflector"), "{shell}");
        }
    }

    #[test]
    fn every_command_teaches_with_examples_and_exit_codes() {
        fn check(command: &Command) {
            let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Exit codes:") && help.contains("  64  "), "{}", command.get_name());
            assert!(help.contains("Examples:") || help.contains("First steps:"), "{}", command.get_name());
            command.get_subcommands().filter(|sub| !sub.is_hide_set()).for_each(check);
        }
        check(&Cli::command());
        Cli::command().debug_assert();
    }
}
