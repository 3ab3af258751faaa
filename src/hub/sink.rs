//! From a topic's poller to the topic.

use super::Inner;
use super::topic::Topic;
use crate::watch::{Outcome, Refusal, Seen, Sink, Validator};
use std::sync::Weak;
use tokio::time::Instant;

/// Where a topic's poller reports. It must not keep the topic alive: the topic holds the poller.
pub struct TopicSink {
    /// The topic.
    pub topic: Weak<Topic>,
    /// The hub, for its caps and counters.
    pub hub: Weak<Inner>,
}

impl Sink for TopicSink {
    fn validator(&self) -> Option<Validator> {
        self.topic.upgrade()?.validator()
    }

    fn observed(&self, begun: Instant, outcome: Outcome) -> Seen {
        let (Some(topic), Some(hub)) = (self.topic.upgrade(), self.hub.upgrade()) else {
            return Seen::Older;
        };
        let kind = kind(&outcome);
        if let Outcome::Failed(error) = &outcome {
            tracing::debug!(watch = %topic.about.watch.name, %error, "central poll failed");
        }
        if kind == "limit" {
            hub.metrics.limit("body");
        }
        let seen = topic.polled(&hub, begun, outcome);
        hub.metrics.origin_poll(match (kind, seen) {
            (_, Seen::Older | Seen::Unclear) => "older",
            ("state", Seen::Changed) => "changed",
            ("state", _) => "same",
            (kind, _) => kind,
        });
        seen
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    use crate::upstream::PollError;
    match outcome {
        Outcome::State(_) => "state",
        Outcome::NotModified(_) => "not_modified",
        Outcome::Refused(Refusal::TooLong) | Outcome::Failed(PollError::TooLong) => "limit",
        Outcome::Refused(_) => "status",
        Outcome::Failed(PollError::Timeout) => "timeout",
        Outcome::Failed(PollError::Io(_)) => "error",
    }
}
