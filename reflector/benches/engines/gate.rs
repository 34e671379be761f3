//! What a run comes to: the last line, and whether the gate opens. Pure, so that a test of the crate can include it.

/// One row in so many may have no numbers because others used the processors. A machine that is not ours alone loses one
/// or two; a table that lacks more proves nothing.
const ROWS_PER_GAP: usize = 8;

/// How a row ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// All targets.
    Kept,
    /// At least one target not.
    Missed,
    /// This machine lacks what it takes.
    Missing(String),
    /// Others used the processors.
    Busy(String),
    /// A contender or the count of bytes was wrong.
    Failed(String),
}

impl End {
    fn why(&self) -> Option<&str> {
        match self {
            Self::Kept | Self::Missed => None,
            Self::Missing(why) | Self::Busy(why) | Self::Failed(why) => Some(why),
        }
    }
}

/// A row's name and its end.
pub(crate) type Row = (String, End);

/// The last line of a run.
pub(crate) fn summary(rows: &[Row]) -> String {
    let kept = count(rows, |end| *end == End::Kept);
    let mut parts = vec![format!("{kept} of {} rows keep their targets", rows.len())];
    let missed = names(rows, |end| *end == End::Missed);
    if !missed.is_empty() {
        parts.push(format!("{} missed: {}", missed.len(), missed.join(", ")));
    }
    let unrun: Vec<String> =
        rows.iter().filter_map(|(name, end)| Some(format!("{name} ({})", end.why()?))).collect();
    if !unrun.is_empty() {
        parts.push(format!("{} not run: {}", unrun.len(), unrun.join(", ")));
    }
    parts.join("; ")
}

/// Opens for rows that ran and kept their targets, and forgives the few that could not run. The error names what is
/// wrong.
pub(crate) fn judge(rows: &[Row]) -> Result<(), String> {
    let missed = names(rows, |end| *end == End::Missed);
    if !missed.is_empty() {
        return Err(format!("missed twice: {}", missed.join(", ")));
    }
    let failed = names(rows, |end| matches!(end, End::Failed(_)));
    if !failed.is_empty() {
        return Err(format!("failed twice: {}", failed.join(", ")));
    }
    let busy = names(rows, |end| matches!(end, End::Busy(_)));
    if busy.len() > rows.len() / ROWS_PER_GAP {
        return Err(format!(
            "given up twice because the machine was busy: {}; at most one row in {ROWS_PER_GAP} may be, so wait until \
             it is calm",
            busy.join(", ")
        ));
    }
    if count(rows, |end| *end == End::Kept) == 0 {
        return Err("no row ran: nothing was measured".to_owned());
    }
    Ok(())
}

fn count(rows: &[Row], is: impl Fn(&End) -> bool) -> usize {
    rows.iter().filter(|(_, end)| is(end)).count()
}

fn names(rows: &[Row], is: impl Fn(&End) -> bool) -> Vec<&str> {
    rows.iter().filter(|(_, end)| is(end)).map(|(name, _)| name.as_str()).collect()
}
