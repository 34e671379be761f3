//! Logs go to standard error, in the form and at the level the configuration says. Standard output is for answers.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::Logging;

/// Starts logging for this process. A second call changes nothing.
pub(super) fn start(logging: &Logging, colour: bool) {
    let filter = EnvFilter::builder()
        .with_regex(false)
        .parse(&logging.level)
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_writer(io::stderr).with_env_filter(filter);
    let started = if logging.json { builder.json().try_init() } else { builder.with_ansi(colour).try_init() };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
