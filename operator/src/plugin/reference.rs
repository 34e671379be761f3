//! The reference page of the plugin, held to what the program itself says.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use super::args::Cli;

/// Columns of a page.
const WIDTH: usize = 110;

fn page() -> String {
    let mut root = Cli::command().term_width(WIDTH).disable_help_subcommand(true);
    root.build();
    let mut out = String::from(
        "# kubectl reflector\n\n\
         Made from the program itself: `UPDATE_GOLDEN=1 cargo test -p operator --lib plugin::reference`.\n\n\
         The program is `kubectl-reflector`; anywhere on the PATH, kubectl finds it. A link to it named\n\
         `kubectl_complete-reflector` beside it gives kubectl's own completion our commands and flags.\n\n",
    );
    write!(out, "```text\n{}\n```\n", root.render_long_help().to_string().trim_end()).unwrap();
    for sub in root.get_subcommands_mut() {
        let help = sub.render_help().to_string();
        write!(out, "\n## {}\n\n```text\n{}\n```\n", sub.get_name(), help.trim_end()).unwrap();
    }
    out
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says whether the page is written")]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/kubectl-reflector.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/reference/kubectl-reflector.md is stale: UPDATE_GOLDEN=1 cargo test -p operator --lib plugin::reference"
    );
}
