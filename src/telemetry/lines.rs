//! Log lines: one subscriber for the process, on standard error.

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// True if this is a tracing filter: `info`, `pollcast=debug`, …
#[must_use]
pub fn is_filter(text: &str) -> bool {
    // A bare unknown word would be taken for the name of a crate and hide every line.
    let level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let bare = |part: &str| !part.contains(['=', '[']) && !level(part.trim());
    !text.split(',').any(bare) && EnvFilter::try_new(text).is_ok()
}

/// Sends log lines to standard error. `filter` is a tracing filter (`info`, `pollcast=debug`);
/// `RUST_LOG` overrides it, so that one run can be looked into without a change to the file. A
/// second call changes nothing.
pub fn init(filter: &str, lines: Lines) {
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty())
        .and_then(|text| EnvFilter::try_new(text).ok())
        .or_else(|| EnvFilter::try_new(filter).ok())
        .unwrap_or_else(|| EnvFilter::new("info"));
    let lines_out = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that a subscriber is there already (tests run many apps in one process): it
    // goes on.
    let _ = match lines {
        Lines::Text => {
            lines_out.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
        Lines::Json => lines_out.json().flatten_event(true).try_init(),
    };
}
