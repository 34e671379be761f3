//! `[[quotas.windows]]`: the four fields of a window, each with its place in the file. What they mean is decided
//! by `access::windows`; here they are only read.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::nearest::nearest;
use super::slot::{Flaw, quoted};
use super::value::{found, shown};
use crate::access::windows::{Effect, Window, WindowError};

/// Most windows a reflector takes: each is evaluated at every admission.
pub const MAX_WINDOWS: usize = 16;
/// The fields, and an example of each.
const FIELDS: [(&str, &str); 4] = [
    ("schedule", "\"0 22 * * *\""),
    ("duration", "\"8h\""),
    ("time_zone", "\"Europe/Paris\""),
    ("effect", "\"deny\""),
];
const EFFECTS: [&str; 2] = ["deny", "allow"];

/// One `[[quotas.windows]]` as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawWindow {
    /// Cron expression: when it opens.
    pub schedule: Spanned<String>,
    /// How long it stays open.
    pub duration: Spanned<Duration>,
    /// IANA name; UTC when not given.
    pub time_zone: Option<Spanned<String>>,
    /// `deny` or `allow`; deny when not given.
    pub effect: Effect,
    /// Where the window stands.
    pub span: Range<usize>,
}

/// Reads all windows, or says everything that is wrong with them.
pub(super) fn read(value: &Spanned<DeValue<'_>>) -> Result<Vec<RawWindow>, Vec<Flaw>> {
    let tables = value.get_ref().as_array().filter(|a| a.iter().all(|item| item.get_ref().is_table()));
    let Some(tables) = tables else {
        let message = format!("must be a list of tables; found {}", found(value.get_ref()));
        return Err(vec![Flaw::new(message).help("write [[quotas.windows]] above each window's fields")]);
    };
    if tables.len() > MAX_WINDOWS {
        return Err(vec![Flaw::new(format!(
            "holds {} windows; at most {MAX_WINDOWS} are read",
            tables.len()
        ))]);
    }
    let (mut windows, mut flaws) = (Vec::new(), Vec::new());
    for item in tables {
        let Some(table) = item.get_ref().as_table() else { continue };
        match read_one(table, item.span()) {
            Ok(window) => windows.push(window),
            Err(more) => flaws.extend(more),
        }
    }
    if flaws.is_empty() { Ok(windows) } else { Err(flaws) }
}

fn read_one(table: &DeTable<'_>, span: Range<usize>) -> Result<RawWindow, Vec<Flaw>> {
    let mut flaws = Vec::new();
    for name in table.keys() {
        if FIELDS.iter().all(|(field, _)| *field != name.get_ref()) {
            let names = FIELDS.map(|(field, _)| field);
            let help = match nearest(name.get_ref(), names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("a window has {}", names.join(", ")),
            };
            let message = format!("has no field `{}`", shown(name.get_ref()));
            flaws.push(Flaw::new(message).help(help).at(name.span()));
        }
    }
    let mut text = |field: &str, required: bool| -> Option<Spanned<String>> {
        let example = FIELDS.iter().find(|(f, _)| *f == field).map_or("", |(_, example)| example);
        let flaw = match table.get(field) {
            None if required => Flaw::new(format!("is missing `{field}`")).at(span.clone()),
            None => return None,
            Some(value) => match value.get_ref() {
                DeValue::String(text) => return Some(Spanned::new(value.span(), text.to_string())),
                other => {
                    Flaw::new(format!("`{field}` must be a text; found {}", found(other))).at(value.span())
                }
            },
        };
        flaws.push(flaw.help(format!("write `{field} = {example}`")));
        None
    };
    let (schedule, length) = (text("schedule", true), text("duration", true));
    let (time_zone, effect) = (text("time_zone", false), text("effect", false));
    let duration = length.and_then(|length| match duration::parse(length.get_ref()) {
        Ok(read) if !read.is_zero() => Some(Spanned::new(length.span(), read)),
        Ok(_) => {
            flaws.push(Flaw::new("`duration` must be longer than 0s").at(length.span()));
            None
        }
        Err(e) => {
            flaws.push(Flaw::new(format!("`duration`: {e}")).at(length.span()));
            None
        }
    });
    let effect = match effect.as_ref().map(|e| (e.get_ref().as_str(), e.span())) {
        None | Some(("deny", _)) => Effect::Deny,
        Some(("allow", _)) => Effect::Allow,
        Some((other, at)) => {
            let near = nearest(other, EFFECTS).unwrap_or("deny");
            flaws.push(
                Flaw::new("`effect` must be deny or allow")
                    .help(format!("write `effect = \"{near}\"`"))
                    .at(at),
            );
            Effect::Deny
        }
    };
    match (schedule, duration) {
        (Some(schedule), Some(duration)) if flaws.is_empty() => {
            Ok(RawWindow { schedule, duration, time_zone, effect, span })
        }
        _ => Err(flaws),
    }
}

/// What admission evaluates, made of what was read.
pub(super) fn build(raw: &RawWindow) -> Result<Window, Flaw> {
    let zone = raw.time_zone.as_ref().map(|zone| zone.get_ref().as_str());
    Window::new(raw.schedule.get_ref(), *raw.duration.get_ref(), zone, raw.effect).map_err(|error| {
        let at = match &error {
            WindowError::TimeZone(_) => raw.time_zone.as_ref().map(Spanned::span),
            WindowError::Duration => Some(raw.duration.span()),
            _ => Some(raw.schedule.span()),
        };
        Flaw::new(error.to_string()).at(at.unwrap_or_else(|| raw.span.clone()))
    })
}

/// The windows as an inline TOML array.
pub(super) fn show(windows: &[RawWindow]) -> String {
    let one = |window: &RawWindow| {
        let mut fields = vec![
            format!("schedule = {}", quoted(window.schedule.get_ref())),
            format!("duration = {}", quoted(&duration::show(*window.duration.get_ref()))),
        ];
        if let Some(zone) = &window.time_zone {
            fields.push(format!("time_zone = {}", quoted(zone.get_ref())));
        }
        let effect = match window.effect {
            Effect::Deny => "deny",
            Effect::Allow => "allow",
        };
        fields.push(format!("effect = {}", quoted(effect)));
        format!("{{ {} }}", fields.join(", "))
    };
    format!("[{}]", windows.iter().map(one).collect::<Vec<_>>().join(", "))
}
