//! From a topic's poller to the topic.

use super::super::{Inner, locked};
use super::Topic;
use crate::upstream::PollError;
use crate::watch::{Outcome, Refusal, Seen, Sink, Validator};
use std::sync::{Arc, Weak};
use tokio::time::Instant;

/// Where a topic's poller reports. It must not keep the topic alive: the topic holds the poller.
pub(super) struct TopicSink {
    topic: Weak<Topic>,
    hub: Weak<Inner>,
}

impl TopicSink {
    /// For the poller of this topic.
    pub(super) fn new(topic: &Arc<Topic>, hub: &Arc<Inner>) -> Self {
        Self { topic: Arc::downgrade(topic), hub: Arc::downgrade(hub) }
    }
}

impl Sink for TopicSink {
    fn validator(&self) -> Option<Validator> {
        let topic = self.topic.upgrade()?;
        let state = locked(&topic.state);
        // While stale, the whole answer is wanted: the origin may have been replaced.
        let (snapshot, _, _) = state.states.verified()?;
        snapshot.validator.clone()
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
        let mut state = locked(&topic.state);
        let seen = topic.absorb(&hub, &mut state, begun, outcome);
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
    match outcome {
        Outcome::State(_) => "state",
        Outcome::NotModified(_) => "not_modified",
        Outcome::Refused(Refusal::TooLong) | Outcome::Failed(PollError::TooLong) => "limit",
        Outcome::Refused(_) => "status",
        Outcome::Failed(PollError::Timeout) => "timeout",
        Outcome::Failed(PollError::Io(_)) => "error",
    }
}
