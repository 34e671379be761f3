//! Reads one TOML value as the type its key wants. Every refusal says what was found and what to write.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crds::EndpointId;
use crds::names::is_object_name;
use toml::Spanned;
use toml::de::DeValue;
use tracing_subscriber::EnvFilter;

use super::duration;
use super::nearest::nearest;
use super::slot::Flaw;

/// How much of a foreign value a message repeats.
const SHOWN_CHARS: usize = 40;
/// Longest path Linux takes.
const LONGEST_PATH: usize = 4096;
/// Words that are levels; a bare word in a filter that is none of them is a typo, though tracing would take it
/// for the name of a crate.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A value and what it should be.
pub(super) struct Reader<'v, 't> {
    pub(super) value: &'v Spanned<DeValue<'t>>,
    pub(super) what: String,
}

impl Reader<'_, '_> {
    fn wrong(&self) -> Flaw {
        Flaw::new(format!("must be {}; found {}", self.what, found(self.value.get_ref())))
    }

    fn refused(&self) -> Vec<Flaw> {
        vec![self.wrong()]
    }

    pub(super) fn text(&self) -> Result<&str, Vec<Flaw>> {
        self.value.get_ref().as_str().ok_or_else(|| self.refused())
    }

    pub(super) fn bool(&self) -> Result<bool, Vec<Flaw>> {
        self.value.get_ref().as_bool().ok_or_else(|| self.refused())
    }

    pub(super) fn integer(&self, range: &RangeInclusive<u64>) -> Result<u64, Vec<Flaw>> {
        whole(self.value.get_ref()).filter(|n| range.contains(n)).ok_or_else(|| self.refused())
    }

    pub(super) fn choice(&self, names: &[&'static str]) -> Result<usize, Vec<Flaw>> {
        let text = self.text()?;
        names.iter().position(|name| *name == text).ok_or_else(|| {
            match nearest(text, names.iter().copied()) {
                Some(near) => vec![self.wrong().help(format!("did you mean \"{near}\"?"))],
                None => self.refused(),
            }
        })
    }

    pub(super) fn path(&self) -> Result<PathBuf, Vec<Flaw>> {
        let text = self.text()?;
        let flaw = if text.is_empty() {
            "must not be empty"
        } else if text.contains('\0') {
            "holds a zero byte, which no path can"
        } else if text.ends_with('/') {
            "ends with a slash; name the file or folder itself"
        } else if text == "~" || text.starts_with("~/") {
            "begins with ~, which only a shell knows; write the whole path"
        } else if text.len() > LONGEST_PATH {
            "is longer than any path can be (4096 bytes)"
        } else {
            return Ok(PathBuf::from(text));
        };
        Err(vec![Flaw::new(flaw)])
    }

    pub(super) fn name(&self) -> Result<String, Vec<Flaw>> {
        let text = self.text()?;
        if is_object_name(text) { Ok(text.to_owned()) } else { Err(self.refused()) }
    }

    pub(super) fn address(&self) -> Result<SocketAddr, Vec<Flaw>> {
        let text = self.text()?.trim();
        text.parse().map_err(|_| {
            let flaw = self.wrong();
            let all = "use 0.0.0.0 for every IPv4 address, [::] for every address";
            vec![if text.parse::<IpAddr>().is_ok() {
                flaw.help(
                    "the port is missing: put it after a colon, an IPv6 address in brackets, as in [::]:4000",
                )
            } else if text.parse::<u16>().is_ok() {
                flaw.help(format!("the address is missing: write \"0.0.0.0:{text}\""))
            } else if text.rsplit_once(':').is_some_and(|(host, _)| host.contains(char::is_alphabetic)) {
                flaw.help(format!("names are not looked up here: write the IP address, or {all}"))
            } else {
                flaw
            }]
        })
    }

    pub(super) fn duration(&self, range: &RangeInclusive<u64>) -> Result<Duration, Vec<Flaw>> {
        let read = match self.value.get_ref() {
            DeValue::String(text) => {
                duration::parse(text).map_err(|e| vec![Flaw::new(format!("must be a duration: {e}"))])?
            }
            other => Duration::from_secs(whole(other).ok_or_else(|| self.refused())?),
        };
        if range.contains(&read.as_secs()) { Ok(read) } else { Err(self.refused()) }
    }

    pub(super) fn filter(&self) -> Result<String, Vec<Flaw>> {
        let text = self.text()?.trim();
        for part in text.split(',').map(str::trim).filter(|part| !part.contains(['=', '['])) {
            if !LEVELS.contains(&part.to_ascii_lowercase().as_str()) {
                let flaw = self.wrong();
                return Err(vec![match nearest(part, LEVELS) {
                    Some(near) => flaw.help(format!("did you mean \"{near}\"?")),
                    None => flaw.help("write a level, or a filter such as \"info,reflector::link=debug\""),
                }]);
            }
        }
        match EnvFilter::builder().with_regex(false).parse(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(e) => Err(vec![Flaw::new(format!("is not a tracing filter: {e}"))]),
        }
    }

    pub(super) fn ids(&self) -> Result<Vec<EndpointId>, Vec<Flaw>> {
        let items = self.value.get_ref().as_array().ok_or_else(|| self.refused())?;
        let (mut ids, mut flaws) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let read = item.get_ref().as_str().map(str::parse::<EndpointId>);
            let flaw = match read {
                Some(Ok(id)) if ids.contains(&id) => {
                    Flaw::new(format!("names {id} twice")).help("remove one")
                }
                Some(Ok(id)) => {
                    ids.push(id);
                    continue;
                }
                Some(Err(e)) => Flaw::new(format!("entry {} is not an Endpoint ID: {e}", index + 1))
                    .help("copy the ID whole from the appliance: PP-, 13 groups of four and a check symbol"),
                None => {
                    Flaw::new(format!("entry {} must be a text; found {}", index + 1, found(item.get_ref())))
                        .help("put each Endpoint ID in quotes")
                }
            };
            flaws.push(flaw.at(item.span()));
        }
        if flaws.is_empty() { Ok(ids) } else { Err(flaws) }
    }
}

/// The value as a number, whatever base it was written in.
fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A foreign value in a message: its type, and its text when that helps. Bounded and escaped.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shown(text)),
        DeValue::Integer(n) => shown(&n.to_string()),
        DeValue::Float(n) => format!("the fraction {}", shown(n.as_str())),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Foreign text in a message: bounded, and safe to print.
pub(super) fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}
