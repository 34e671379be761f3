//! The types a key can have: how a TOML value becomes a field, how a field becomes TOML, and what to call it.
//!
//! A slot names one field by a function, so the table in `keys` is all that connects a key to the configuration.

use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use crds::EndpointId;
use toml::Spanned;
use toml::de::DeValue;

use super::value::Reader;
use super::windows::{self, RawWindow};
use super::{Config, duration};

/// A configuration in the making: what is still in pieces stands beside it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) range_start: Option<u16>,
    pub(super) range_end: Option<u16>,
    pub(super) windows: Vec<RawWindow>,
}

impl Draft {
    /// Takes a finished configuration apart again.
    pub(super) fn of(config: Config) -> Self {
        let (range_start, range_end) = config.network.data_ports.unzip();
        Self { config, range_start, range_end, windows: Vec::new() }
    }
}

/// Where in a draft a value lives.
pub(super) type Field<T> = fn(&mut Draft) -> &mut T;

/// The type of a key.
pub(super) enum Slot {
    Bool(Field<bool>),
    U32(Field<u32>, RangeInclusive<u64>),
    U64(Field<u64>, RangeInclusive<u64>),
    MaybeU64(Field<Option<u64>>, RangeInclusive<u64>),
    MaybePort(Field<Option<u16>>),
    Address(Field<SocketAddr>),
    Path(Field<PathBuf>),
    MaybePath(Field<Option<PathBuf>>),
    MaybeName(Field<Option<String>>),
    Text(Field<String>),
    Filter(Field<String>),
    Ids(Field<Vec<EndpointId>>),
    Duration(Field<Duration>, RangeInclusive<u64>),
    Choice(&'static [&'static str], fn(&Draft) -> usize, fn(&mut Draft, usize)),
    Windows,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// Follows the key's name in the message.
    pub(super) message: String,
    /// Better than the key's example, if there is something better to say.
    pub(super) help: Option<String>,
    /// Narrower than the whole value.
    pub(super) span: Option<Range<usize>>,
}

impl Flaw {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn at(self, span: Range<usize>) -> Self {
        Self { span: Some(span), ..self }
    }
}

impl Slot {
    /// What a value must be, for messages and the reference page.
    pub(super) fn what(&self) -> String {
        match self {
            Self::Bool(_) => "true or false".to_owned(),
            Self::U32(_, range) | Self::U64(_, range) | Self::MaybeU64(_, range)
                if *range.end() == u64::MAX =>
            {
                format!("a whole number from {} up", range.start())
            }
            Self::U32(_, range) | Self::U64(_, range) | Self::MaybeU64(_, range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::MaybePort(_) => "a port from 1 to 65535".to_owned(),
            Self::Address(_) => "an IP address and a port".to_owned(),
            Self::Path(_) | Self::MaybePath(_) => "a path".to_owned(),
            Self::MaybeName(_) => "an object name (a-z, 0-9, '-' and '.')".to_owned(),
            Self::Text(_) => "a text".to_owned(),
            Self::Filter(_) => "off, error, warn, info, debug, trace, or a tracing filter".to_owned(),
            Self::Ids(_) => "a list of Endpoint IDs".to_owned(),
            Self::Duration(_, range) => format!(
                "a duration from {} to {}",
                duration::show(Duration::from_secs(*range.start())),
                duration::show(Duration::from_secs(*range.end()))
            ),
            Self::Choice(names, ..) => format!("one of {}", names.join(", ")),
            Self::Windows => "a list of windows".to_owned(),
        }
    }

    /// Puts a value where it belongs, or says everything that is wrong with it.
    pub(super) fn read(&self, value: &Spanned<DeValue<'_>>, draft: &mut Draft) -> Result<(), Vec<Flaw>> {
        let value = Reader { value, what: self.what() };
        match self {
            Self::Bool(field) => *field(draft) = value.bool()?,
            Self::U32(field, range) => {
                *field(draft) = u32::try_from(value.integer(range)?).unwrap_or(u32::MAX);
            }
            Self::U64(field, range) => *field(draft) = value.integer(range)?,
            Self::MaybeU64(field, range) => *field(draft) = Some(value.integer(range)?),
            Self::MaybePort(field) => {
                *field(draft) = u16::try_from(value.integer(&(1..=u64::from(u16::MAX)))?).ok();
            }
            Self::Address(field) => *field(draft) = value.address()?,
            Self::Path(field) => *field(draft) = value.path()?,
            Self::MaybePath(field) => *field(draft) = Some(value.path()?),
            Self::MaybeName(field) => *field(draft) = Some(value.name()?),
            Self::Text(field) => value.text()?.clone_into(field(draft)),
            Self::Filter(field) => *field(draft) = value.filter()?,
            Self::Ids(field) => *field(draft) = value.ids()?,
            Self::Duration(field, range) => *field(draft) = value.duration(range)?,
            Self::Choice(names, _, set) => set(draft, value.choice(names)?),
            Self::Windows => draft.windows = windows::read(value.value)?,
        }
        Ok(())
    }

    /// The value as TOML; `None` when it is not set.
    pub(super) fn show(&self, draft: &mut Draft) -> Option<String> {
        Some(match self {
            Self::Bool(field) => field(draft).to_string(),
            Self::U32(field, _) => field(draft).to_string(),
            Self::U64(field, _) => field(draft).to_string(),
            Self::MaybeU64(field, _) => (*field(draft))?.to_string(),
            Self::MaybePort(field) => (*field(draft))?.to_string(),
            Self::Address(field) => quoted(&field(draft).to_string()),
            Self::Path(field) => quoted(&field(draft).to_string_lossy()),
            Self::MaybePath(field) => quoted(&field(draft).as_ref()?.to_string_lossy()),
            Self::MaybeName(field) => quoted(field(draft).as_ref()?),
            Self::Text(field) | Self::Filter(field) => quoted(field(draft)),
            Self::Ids(field) => {
                let ids: Vec<String> = field(draft).iter().map(|id| quoted(&id.to_string())).collect();
                format!("[{}]", ids.join(", "))
            }
            Self::Duration(field, _) => quoted(&duration::show(*field(draft))),
            Self::Choice(names, which, _) => quoted(names.get(which(draft))?),
            Self::Windows => windows::show(&draft.windows),
        })
    }

    /// What a variable of the environment holds for this key: texts as they are, lists as a TOML array or comma
    /// separated, everything else as in the file.
    pub(super) fn variable_value<'t>(&self, text: &'t str) -> Spanned<DeValue<'t>> {
        let string = |text: &'t str| Spanned::new(0..0, DeValue::String(text.into()));
        let as_toml = || DeValue::parse(text.trim()).unwrap_or_else(|_| string(text));
        match self {
            Self::Bool(_) | Self::U32(..) | Self::U64(..) | Self::MaybeU64(..) | Self::MaybePort(_) => {
                as_toml()
            }
            Self::Windows => as_toml(),
            Self::Ids(_) if text.trim_start().starts_with('[') => as_toml(),
            Self::Ids(_) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Spanned::new(0..0, DeValue::Array(parts.map(string).collect()))
            }
            _ => string(text),
        }
    }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
