//! The reference page of the configuration, written from the table of keys.

use std::fmt::Write;

use super::keys::{self, SECTIONS};
use super::show::default_value;

const HEAD: &str = "\
# Configuration

<!-- Written by `reflector config reference`; change reflector/src/config/keys/ instead. -->

A reflector reads one TOML file. It takes the first of these that exists:

1. the file named by `-c`/`--config`, or by the variable `REFLECTOR_CONFIG` (one that is missing or broken ends the program with exit code 1)
2. `/etc/reflector/reflector.toml`
3. `$XDG_CONFIG_HOME/reflector/reflector.toml`, or `~/.config/reflector/reflector.toml` when that variable is not set
4. no file: every key has a default

A file that exists must be right: an unknown key, a wrong type or a value out of range is an error that names file, line, column and
what to write. `reflector config check` says so without starting anything; `reflector config show` prints what is in force and where each value comes from.

Every key can be overridden by the environment variable in its row. Texts are written without quotes there; lists as a TOML array or
comma separated.
";

/// The page, in Markdown.
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    for (section, about) in SECTIONS {
        let _ = write!(out, "\n## [{section}]\n\n{about}\n");
        for key in keys::all().filter(|key| key.section == section) {
            let default = match default_value(key) {
                Some(value) => format!("`{value}`"),
                None => key.unset.to_owned(),
            };
            let _ = write!(
                out,
                "\n### `{}`\n\n{}\n\n- Value: {}\n- Default: {default}\n- Example: `{} = {}`\n- Variable: `{}`\n",
                key.name,
                key.help,
                key.what(),
                key.name,
                key.example,
                key.variable()
            );
        }
    }
    out
}
