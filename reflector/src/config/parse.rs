//! From text and variables to one configuration, or to everything that is wrong with it at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check;
use super::keys::{self, Key, SECTIONS, VARIABLE_PREFIX};
use super::nearest::nearest;
use super::report::{Place, Problem, Report, Severity};
use super::slot::{Draft, Flaw};
use super::value::{found, shown};
use super::windows::{self, RawWindow};
use super::{Config, in_cluster, suggest};

/// Variables of the environment, as far as they concern us, and `OPTIONS` of the command line.
pub type Variables = BTreeMap<String, String>;

/// Options of the command line that override a key, as they stand among the variables.
const OPTIONS: [(&str, &str); 2] = [("--bind", "network.listen_address"), ("--log-level", "logging.level")];

/// What the toml crate calls a key that is there twice; every other error of its means the text cannot be read.
const DUPLICATE: &str = "duplicate key";

/// A text and where it came from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// For messages.
    pub path: Option<&'a Path>,
    /// TOML.
    pub text: &'a str,
}

/// A configuration that can be used, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file, if there was one.
    pub path: Option<PathBuf>,
    /// What means something else than it seems to.
    pub warnings: Vec<Problem>,
    /// Where each key that was given came from, by `network.mode`.
    pub origins: BTreeMap<String, Origin>,
    /// `[[quotas.windows]]` as they were written.
    pub windows: Vec<RawWindow>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file, at this line.
    File(usize),
    /// This variable, or this option of the command line.
    Variable(String),
}

/// Reads a configuration from text and environment overrides. Never panics, whatever the text.
pub fn parse(text: &str, variables: &Variables) -> Result<Loaded, Report> {
    parse_source(Source { path: None, text }, variables)
}

/// Like [`parse`], with the file's name for messages.
pub fn parse_source(source: Source<'_>, variables: &Variables) -> Result<Loaded, Report> {
    let (document, errors) = DeTable::parse_recoverable(source.text);
    let mut reading = Reading::new(source);
    let mut readable = true;
    for error in &errors {
        readable &= error.message() == DUPLICATE;
        reading.syntax(error.message(), error.span().unwrap_or(0..0));
    }
    if readable {
        reading.file(document.get_ref());
        reading.variables(variables);
        check::check(&mut reading);
        in_cluster::check(&mut reading);
    }
    reading.finish()
}

/// Reads one value as the key at `path` would; for options of the command line.
pub fn check_value(path: &str, text: &str) -> Result<(), String> {
    let Some(key) = keys::all().find(|key| key.path() == path) else {
        return Err(format!("{path} is no key"));
    };
    let told = |flaw: Flaw| match flaw.help {
        Some(help) => format!("{}; {help}", flaw.message),
        None => flaw.message,
    };
    let flaws = key.slot.read(&key.slot.variable_value(text), &mut Draft::of(Config::default())).err();
    match flaws.into_iter().flatten().next() {
        None => Ok(()),
        Some(flaw) => Err(told(flaw)),
    }
}

/// A configuration while it is read.
pub(super) struct Reading<'a> {
    source: Source<'a>,
    pub(super) draft: Draft,
    given: BTreeMap<String, Given>,
    problems: Vec<Problem>,
}

/// A key that somebody set.
struct Given {
    place: Place,
    sound: bool,
}

impl<'a> Reading<'a> {
    fn new(source: Source<'a>) -> Self {
        let draft = Draft::of(Config::default());
        Self { source, draft, given: BTreeMap::new(), problems: Vec::new() }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        Place::in_file(self.source.path, self.source.text, span)
    }

    fn error(&mut self, key: impl Into<String>, place: Place, message: String, help: Option<String>) {
        self.problems.push(Problem { severity: Severity::Error, key: key.into(), message, help, place });
    }

    fn syntax(&mut self, message: &str, span: Range<usize>) {
        let place = self.place(&span);
        if message == DUPLICATE {
            let key = shown(self.source.text.get(span).unwrap_or_default());
            let help = Some("keep one of the two".to_owned());
            self.error(key.clone(), place, format!("`{key}` is there twice"), help);
        } else {
            let help = Some("texts go in quotes, lists in [ ], and each key on a line of its own".to_owned());
            self.error("", place, format!("this is not TOML: {message}"), help);
        }
    }

    fn file(&mut self, document: &DeTable<'_>) {
        for (name, value) in document {
            let section = SECTIONS.iter().find(|(section, _)| *section == name.get_ref()).map(|(s, _)| *s);
            match (section, value.get_ref()) {
                (Some(section), DeValue::Table(table)) => self.section(section, table),
                (Some(section), other) => {
                    let message = format!("`{section}` must be a table; found {}", found(other));
                    let help = format!("write [{section}] on a line of its own, and its keys below it");
                    let place = self.place(&name.span());
                    self.error(section, place, message, Some(help));
                }
                (None, other) => {
                    let place = self.place(&name.span());
                    let (message, help) = suggest::section(name.get_ref(), other.is_table());
                    self.error(shown(name.get_ref()), place, message, Some(help));
                }
            }
        }
    }

    fn section(&mut self, section: &'static str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = keys::all().find(|key| key.section == section && key.name == name.get_ref());
            let Some(key) = key else {
                let place = self.place(&name.span());
                let (message, help) = suggest::key(section, name.get_ref());
                let path = format!("{section}.{}", shown(name.get_ref()));
                self.error(path, place, message, Some(help));
                continue;
            };
            self.set(key, value, None);
        }
    }

    fn variables(&mut self, variables: &Variables) {
        self.overrides(variables);
        // Options last: what somebody typed just now wins.
        for (option, path) in OPTIONS {
            let key = keys::all().find(|key| key.path() == path);
            if let (Some(key), Some(text)) = (key, variables.get(option)) {
                self.set(key, &key.slot.variable_value(text), Some(option));
            }
        }
    }

    fn overrides(&mut self, variables: &Variables) {
        for (name, text) in variables.iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX)) {
            if let Some(key) = keys::all().find(|key| key.variable() == *name) {
                self.set(key, &key.slot.variable_value(text), Some(name));
            } else {
                let all: Vec<String> = keys::all().map(Key::variable).collect();
                let shown = shown(name);
                let help = match nearest(name, all.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("overrides are {VARIABLE_PREFIX}SECTION__KEY; unset it"),
                };
                let place = Place::Variable(shown.clone());
                self.error(shown.clone(), place, format!("{shown} overrides no key"), Some(help));
            }
        }
    }

    /// Reads a value into its key; the environment comes second and wins.
    fn set(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>, variable: Option<&str>) {
        let place = |reading: &Self, span: &Range<usize>| match variable {
            Some(name) => Place::Variable(name.to_owned()),
            None => reading.place(span),
        };
        let whole = place(self, &value.span());
        let flaws = key.slot.read(value, &mut self.draft).err().unwrap_or_default();
        self.given.insert(key.path(), Given { place: whole, sound: flaws.is_empty() });
        for Flaw { message, help, span } in flaws {
            let place = place(self, &span.unwrap_or_else(|| value.span()));
            let help = help.unwrap_or_else(|| match variable {
                Some(name) => format!("write {name}={}", key.example.trim_matches('"')),
                None => format!("write `{} = {}`", key.name, key.example),
            });
            self.error(key.path(), place, format!("`{}` {message}", key.path()), Some(help));
        }
    }

    /// Whether somebody set this key.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.given.contains_key(path)
    }

    /// Every key that somebody set.
    pub(super) fn given(&self) -> Vec<String> {
        self.given.keys().cloned().collect()
    }

    /// Whether what stands in the draft for this key is meant: set well, or not set.
    pub(super) fn is_sound(&self, path: &str) -> bool {
        self.given.get(path).is_none_or(|given| given.sound)
    }

    /// Reports something that only several keys together get wrong, at the first of `keys` that somebody set.
    pub(super) fn together(&mut self, severity: Severity, keys: &[&str], message: String, help: String) {
        let at = keys.iter().find_map(|key| self.given.get(*key).map(|given| (*key, given.place.clone())));
        let (key, place) = match at {
            Some((key, place)) => (key, place),
            None => (keys.first().copied().unwrap_or_default(), self.place(&(0..0))),
        };
        self.problems.push(Problem { severity, key: key.to_owned(), message, help: Some(help), place });
    }

    fn build_windows(&mut self) {
        for raw in self.draft.windows.clone() {
            match windows::build(&raw) {
                Ok(window) => self.draft.config.quotas.windows.push(window),
                Err(flaw) => {
                    let place = match self.given.get("quotas.windows").map(|given| &given.place) {
                        Some(Place::Variable(name)) => Place::Variable(name.clone()),
                        _ => self.place(&flaw.span.unwrap_or_else(|| raw.span.clone())),
                    };
                    let message = format!("`quotas.windows` {}", flaw.message);
                    self.error("quotas.windows", place, message, flaw.help);
                }
            }
        }
    }

    fn finish(mut self) -> Result<Loaded, Report> {
        self.build_windows();
        let mut problems = self.problems;
        problems.sort_by_key(|problem| problem.place.order());
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(Report { problems });
        }
        let origin = |place| match place {
            Place::File { line, .. } => Origin::File(line),
            Place::Variable(name) => Origin::Variable(name),
        };
        Ok(Loaded {
            config: self.draft.config,
            path: self.source.path.map(Path::to_path_buf),
            warnings: problems,
            origins: self.given.into_iter().map(|(key, given)| (key, origin(given.place))).collect(),
            windows: self.draft.windows,
        })
    }
}
