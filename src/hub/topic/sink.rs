//! From a topic's poller and prover to the topic.

use super::super::{Asker, Inner, locked};
use super::absorb::{Absorbed, Lane};
use super::{State, Topic};
use crate::upstream::PollError;
use crate::watch::{IdentityId, Next, Outcome, Prover, Refusal, Seen, Sink, Turn};
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

    fn take(&self, (by, lane): (IdentityId, Lane), begun: Instant, outcome: Outcome) -> Seen {
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
        let asker = Asker { identity: by, request: None };
        let Absorbed { seen, effect, .. } =
            topic.absorb(&hub, &mut state, (asker, lane), begun, outcome);
        drop(state);
        hub.metrics.origin_poll(match (kind, seen) {
            (_, Seen::Older | Seen::Unclear) => "older",
            ("state", Seen::Changed) => "changed",
            ("state", _) => "same",
            (kind, _) => kind,
        });
        if let Some(effect) = effect {
            hub.act(&topic.about.watch, effect);
        }
        seen
    }
}

impl State {
    /// Of a topic of one identity.
    fn own_turn(&self) -> Option<Turn> {
        let sub = self.subs.values().next()?;
        // While stale, the whole answer is wanted: the origin may have been replaced.
        let verified = self.states.verified();
        let validator = verified.and_then(|(snapshot, _, _)| snapshot.validator.clone());
        Some(Turn { by: sub.identity, request: self.request.clone()?, validator })
    }
}

impl Sink for TopicSink {
    fn turn(&self) -> Option<Turn> {
        let topic = self.topic.upgrade()?;
        let mut state = locked(&topic.state);
        let stale = state.states.verified().is_none();
        let turn = match &mut state.leases {
            Some(leases) => leases.turn(Instant::now()),
            None => state.own_turn(),
        };
        turn.map(|turn| Turn { validator: turn.validator.filter(|_| !stale), ..turn })
    }

    fn observed(&self, by: IdentityId, begun: Instant, outcome: Outcome) -> Seen {
        self.take((by, Lane::Poller), begun, outcome)
    }
}

impl Prover for TopicSink {
    fn next(&self, now: Instant) -> Next {
        let Some(topic) = self.topic.upgrade() else { return Next::Wait(None) };
        let mut state = locked(&topic.state);
        let lapsed = state.leases.as_mut().map(|leases| leases.lapse(now)).unwrap_or_default();
        for id in lapsed {
            Topic::mark(&state, Some(id));
        }
        let Some(leases) = &mut state.leases else { return Next::Wait(None) };
        match leases.next(now) {
            Next::Wait(until) => {
                let lapse = leases.next_lapse();
                Next::Wait(until.into_iter().chain(lapse).min())
            }
            ask @ Next::Ask(_) => ask,
        }
    }

    fn stands(&self, by: IdentityId) -> bool {
        let Some(topic) = self.topic.upgrade() else { return false };
        let state = locked(&topic.state);
        state.leases.as_ref().is_some_and(|leases| leases.stands(by))
    }

    fn proved(&self, by: IdentityId, begun: Instant, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            self.take((by, Lane::Prover), begun, outcome);
        } else if let Some(topic) = self.topic.upgrade()
            && let Some(leases) = &mut locked(&topic.state).leases
        {
            leases.answered(by);
        }
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
