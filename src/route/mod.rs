//! Request head → decision: the one place that says what a request is. Pure.

mod plain;

pub use self::plain::is_another;

use crate::config::{Config, Mode};
use crate::rollout;
use http::{HeaderMap, Method, Uri};

/// The field by which a page marks a GET of a URL that it knows to be polled.
pub const CLIENT_FIELD: &str = "pollcast-client";

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// One of the own endpoints.
    Own(Own),
    /// A GET that a watch matches, of at least mode `observe`; the index is into `config.watches`.
    Watched {
        /// Index into `config.watches`.
        watch: usize,
        /// How far to go.
        mode: Mode,
        /// What the page says of it.
        mark: Mark,
    },
    /// An unsafe method: it may change what the origin says.
    Write,
    /// All the rest.
    Pass,
}

/// The own endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The script in the page.
    Script,
    /// The code that holds the stream.
    Worker,
    /// The mode, for pages that were told to leave and ask whether to come back.
    Mode,
    /// The event stream.
    Stream,
    /// A stream is left; its name begins at this byte of the path.
    Leave(usize),
    /// The plain server-sent-events view; the target begins at this byte of path and query.
    Plain(usize),
    /// Under the prefix, but nothing.
    Unknown,
}

/// What a page says of a watched GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing: it streams, as without us.
    None,
    /// It is polled: hold the answer until it is complete, and say its state.
    Polled,
    /// As `Polled`, and it must reach the origin.
    Renewal,
}

/// Decides. `uri` is in origin form or absolute form; only path and query count.
#[must_use]
pub fn decide(config: &Config, method: &Method, uri: &Uri, headers: &HeaderMap) -> Decision {
    let path = uri.path();
    if let Some(rest) = path.strip_prefix(config.prefix.as_str())
        && (rest.is_empty() || rest.starts_with('/'))
    {
        return Decision::Own(own(rest, config.prefix.len()));
    }
    if !method.is_safe() {
        return if is_unrelated(config, path, headers) { Decision::Pass } else { Decision::Write };
    }
    if method != Method::GET || config.mode < Mode::Observe || !plain::is_get(headers) {
        return Decision::Pass;
    }
    let found = config.watches.iter().enumerate().find(|(_, watch)| watch.path.matches(path));
    match found.filter(|_| plain::is_path(path) && !is_another(headers)) {
        Some((index, watch)) => match rollout::effective(config, watch) {
            Mode::Off => Decision::Pass,
            mode => Decision::Watched { watch: index, mode, mark: mark(mode, headers) },
        },
        None => Decision::Pass,
    }
}

/// True for a write that the operator says changes nothing here. One that could be read as a write
/// to another path is not believed to be.
fn is_unrelated(config: &Config, path: &str, headers: &HeaderMap) -> bool {
    config.unrelated_writes.iter().any(|glob| glob.matches(path))
        && plain::is_path(path)
        && !is_another(headers)
}

/// The watch of a path that is pushed, if any; none of one that could be read as another path.
#[must_use]
pub fn pushed(config: &Config, path: &str) -> Option<usize> {
    let index = config.watches.iter().position(|watch| watch.path.matches(path))?;
    let pushed = plain::is_path(path)
        && rollout::effective(config, config.watches.get(index)?) == Mode::Push;
    pushed.then_some(index)
}

fn own(rest: &str, prefix: usize) -> Own {
    match rest {
        "/shim.js" => Own::Script,
        "/worker.js" => Own::Worker,
        "/mode" => Own::Mode,
        "/stream" => Own::Stream,
        rest if rest.starts_with("/leave/") => Own::Leave(prefix + "/leave/".len()),
        rest if rest.starts_with("/sse/") => Own::Plain(prefix + "/sse".len()),
        _ => Own::Unknown,
    }
}

fn mark(mode: Mode, headers: &HeaderMap) -> Mark {
    if mode < Mode::Collapse {
        return Mark::None;
    }
    let Some(value) = headers.get(CLIENT_FIELD).and_then(|value| value.to_str().ok()) else {
        return Mark::None;
    };
    let (client, flag) = value.split_once(';').unwrap_or((value, ""));
    match flag.trim() {
        _ if !client_id_ok(client) => Mark::None,
        "" => Mark::Polled,
        "renew" => Mark::Renewal,
        _ => Mark::None,
    }
}

/// A browser id: 1 to 64 of `[A-Za-z0-9_-]`.
#[must_use]
pub fn client_id_ok(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests;
