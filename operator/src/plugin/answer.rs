//! What a command answers, how it reaches standard output, and how the program ends.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::args::Format;

/// How a command ends. The same numbers as those of `reflector`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done = 0,
    /// Not done; why and what to do is on standard error.
    Failed = 1,
    /// Answered, and the answer is no: something is not Ready, nobody came in time.
    No = 2,
    /// Part of it: a claim waits for approval, the key of a Reflector could not be read.
    Part = 3,
    /// The command line is wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The answer of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// For standard output.
    pub(super) text: String,
    pub(super) exit: Exit,
}

impl Answer {
    /// Done, with these words.
    pub(super) fn text(text: String) -> Self {
        Self { text, exit: Exit::Done }
    }
}

/// Writes to standard output. A reader that hung up (`| head -1`) has what it wanted.
pub(super) fn emit(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            anstream::eprintln!("error: write the answer: {error}");
            Exit::Failed
        }
        _ => Exit::Done,
    }
}

/// An error and its causes. Libraries put a cause into their own words as well; nobody is told twice.
pub(super) fn said(error: &anyhow::Error) -> String {
    let mut all = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if all.is_empty() {
            all = cause;
        } else if !all.contains(cause.trim()) {
            all = format!("{all}: {cause}");
        }
    }
    all
}

/// Objects for programs, as kubectl gives them: one, or a List. What nobody reads is left out.
pub(super) fn list(objects: &[Value], format: Format) -> Result<String> {
    let mut objects = objects.to_vec();
    for object in &mut objects {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    }
    written(&json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects }), format)
}

/// One value for programs.
pub(super) fn written(value: &impl Serialize, format: Format) -> Result<String> {
    let mut text = match format {
        Format::Json => serde_json::to_string_pretty(value).context("write JSON")?,
        Format::Yaml => serde_yaml::to_string(value).context("write YAML")?,
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error =
            anyhow::anyhow!("No such file").context("read /k: No such file").context("use the kubeconfig");
        assert_eq!(said(&error), "use the kubeconfig: read /k: No such file");
    }

    #[test]
    fn objects_come_as_a_list_without_what_nobody_reads() {
        let object =
            json!({ "kind": "K", "metadata": { "name": "a", "managedFields": [{ "manager": "m" }] } });
        let text = list(&[object], Format::Json).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["kind"], "List");
        assert_eq!(value["items"], json!([{ "kind": "K", "metadata": { "name": "a" } }]));
        assert!(list(&[], Format::Yaml).unwrap().contains("kind: List"));
    }
}
