//! What becomes of an answer.

use super::super::{Asker, Inner};
use super::{State, Topic};
use crate::watch::{Outcome, Refusal, Seen};
use tokio::time::Instant;

/// Which way an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// To the poller.
    Poller,
    /// To the prover.
    Prover,
    /// To a client that asked for itself.
    Passing,
}

/// What concerns more than one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The watch must not be shared: why, for the operator.
    Demote(&'static str),
    /// The watch's keys have changed.
    Rekey,
}

/// What has become of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Absorbed {
    /// What the poller should make of it.
    pub seen: Seen,
    /// To be done once no lock is held.
    pub effect: Option<Effect>,
    /// It was only compared with the state.
    pub compared: bool,
}

impl Absorbed {
    pub(super) fn plain(seen: Seen) -> Self {
        Self { seen, effect: None, compared: false }
    }

    pub(super) fn with(effect: Effect) -> Self {
        Self { seen: Seen::Stale, effect: Some(effect), compared: false }
    }
}

impl Topic {
    pub(super) fn absorb(
        &self,
        hub: &Inner,
        state: &mut State,
        (asker, lane): (Asker, Lane),
        begun: Instant,
        outcome: Outcome,
    ) -> Absorbed {
        if state.forgotten {
            return Absorbed::plain(Seen::Older);
        }
        if matches!(outcome, Outcome::Refused(Refusal::Rekeyed)) {
            return Absorbed::with(Effect::Rekey);
        }
        if state.leases.is_some() {
            let id = asker.identity;
            let absorbed = self.absorb_shared(hub, state, (asker, lane), begun, outcome);
            // It may have been on its way when the origin refused them.
            state.revoke(hub, id);
            if let Some(leases) = state.leases.as_mut().filter(|_| state.prover.is_none()) {
                // Nobody would look into a difference, so nobody's credentials are kept for that.
                leases.hush();
            }
            return absorbed;
        }
        let was_stale = state.states.stale().is_some();
        let history = hub.settings.load().limits.history;
        let seen = state.states.observe(begun, outcome, history);
        if seen == Seen::Changed {
            self.fit(hub, state);
        }
        if seen == Seen::Over {
            self.end(hub, state);
            return Absorbed::plain(seen);
        }
        if state.subs.is_empty() {
            state.idle = Instant::now();
        }
        let tell = match seen {
            Seen::Changed => true,
            Seen::Same => state.awaited,
            Seen::Stale => !was_stale,
            Seen::Older | Seen::Unclear | Seen::Over => false,
        };
        if tell {
            state.awaited = false;
            Self::mark(state, None);
        }
        if let Some(poller) = &state.poller
            && lane != Lane::Poller
        {
            poller.observed(begun);
        }
        Absorbed::plain(seen)
    }

    /// It can't be pushed: its subscriptions end, and nothing asks the origin any more.
    fn end(&self, hub: &Inner, state: &mut State) {
        hub.keep.change(state.held, 0, 0);
        state.held = 0;
        if state.poller.is_some() {
            tracing::info!(watch = %self.about.watch.name, "not pushed: see `unwatchable`");
        }
        self.dismiss_in(hub, state, None, "unwatchable");
    }

    /// A new state needs room.
    pub(super) fn fit(&self, hub: &Inner, state: &mut State) {
        let limit = hub.settings.load().limits.snapshots;
        if !fits(hub, state, limit) {
            hub.metrics.limit("snapshots");
            tracing::warn!(watch = %self.about.watch.name, "limits.snapshots is reached");
            state.states.no_room();
        }
    }
}

/// Counts the topic's bytes against the cap; past states go first.
fn fits(hub: &Inner, state: &mut State, limit: usize) -> bool {
    let cost = state.states.cost();
    if hub.keep.change(state.held, cost, limit) {
        state.held = cost;
        return true;
    }
    state.states.forget_past();
    let cost = state.states.cost();
    if hub.keep.change(state.held, cost, limit) {
        state.held = cost;
        return true;
    }
    hub.keep.change(state.held, 0, limit);
    state.held = 0;
    false
}
