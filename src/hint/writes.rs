//! Writes that pass through: whatever an unsafe method may have changed is asked for again.

use crate::hub::{About, Hub};
use crate::telemetry::Metrics;
use crate::watch::IdentityId;
use http::StatusCode;

/// A write on its way. It hints when it is answered, and also when it is dropped unanswered: a
/// client that leaves, a time-out or a reset say nothing about whether the origin carried it out.
pub struct Write {
    hub: Hub,
    metrics: Metrics,
    path: String,
    identity: IdentityId,
    /// Cleared where the origin refused.
    armed: bool,
}

impl Write {
    /// A write to this path, by this identity.
    #[must_use]
    pub fn new(hub: Hub, metrics: Metrics, path: &str, identity: IdentityId) -> Self {
        Self { hub, metrics, path: path.to_owned(), identity, armed: true }
    }

    /// The origin answered. A 4xx is a refusal: nothing changed. A 5xx may have changed something
    /// before it failed.
    pub fn answered(mut self, status: StatusCode) {
        self.armed = !status.is_client_error();
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        self.metrics.hint("write");
        self.hub.wrote(self.identity);
        let path = self.path.as_str();
        self.hub.hint(|about| touches(path, about));
    }
}

/// True if a write to `path` may have changed the topic: by the default path rule (the same path,
/// the collection above it, and what lies below it) or by the watch's own globs.
#[must_use]
pub fn touches(path: &str, about: &About) -> bool {
    let (written, topic) = (trimmed(path), trimmed(&about.path));
    let above = written.rsplit_once('/').map_or("", |(above, _)| above);
    let below = |whole: &str, part: &str| {
        whole.strip_prefix(part).is_some_and(|rest| rest.starts_with('/'))
    };
    written == topic
        || (!above.is_empty() && above == topic)
        || below(topic, written)
        || about.watch.write_hints.iter().any(|glob| glob.matches(path))
}

fn trimmed(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Audience, Glob, Watch};
    use std::sync::Arc;

    fn hit(written: &str, topic: &str) -> bool {
        let mut watch = Watch::new(Glob::new("/**").unwrap());
        watch.write_hints = vec![Glob::new("/rpc/*").unwrap()];
        let (watch, audience) = (Arc::new(watch), Audience::Credential);
        touches(written, &About { watch, path: topic.to_owned(), audience })
    }

    #[test]
    fn the_same_path_what_is_above_and_what_is_below() {
        for (written, topic, want) in [
            ("/api/todos", "/api/todos", true),
            ("/api/todos/", "/api/todos", true),
            ("/api/todos/5", "/api/todos", true),
            ("/api/todos/5", "/api/todos/5", true),
            ("/api/todos/5", "/api/todos/5/notes", true),
            ("/api/todos", "/api/todos/5", true),
            ("/api/todos/5", "/api/todos/6", false),
            ("/api/todos/5/notes", "/api/todos", false),
            ("/api/todos", "/api/todosx", false),
            ("/login", "/api/todos", false),
            ("/rpc/anything", "/api/todos", true),
        ] {
            assert_eq!(hit(written, topic), want, "{written} {topic}");
        }
    }
}
