//! Who subscribes to a topic.

use super::super::mailbox::Mailbox;
use super::super::subscriber::Slot;
use super::super::{Inner, Wish, locked};
use super::sink::TopicSink;
use super::{State, Sub, Topic};
use crate::config::Interval;
use crate::watch::IdentityId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl Topic {
    /// Adds a subscription, and starts the poller if it is the first.
    pub fn subscribe(
        self: &Arc<Self>,
        hub: &Arc<Inner>,
        wish: Wish,
        (slot, mailbox): (usize, &Arc<Mailbox>),
    ) -> Slot {
        let mut state = locked(&self.state);
        if state.states.is_refused() {
            return Slot::refused("unwatchable");
        }
        if state.forgotten {
            return Slot::refused("anew");
        }
        state.newest += 1;
        let (cadence, identity) = (self.cadence(hub, wish.every), wish.identity);
        // What is left from before the origin refused them is not for them, be it their own.
        let revoked = hub.revoked.of(identity).map(|(since, _)| since);
        let (id, after) = (state.newest, state.hinted.max(revoked));
        let place = wish.place;
        let mailbox = Arc::clone(mailbox);
        state.subs.insert(id, Sub { mailbox, slot, identity, place, cadence, after });
        *state.cadences.entry(cadence).or_insert(0) += 1;
        match &mut state.leases {
            Some(leases) => leases.join(identity, wish.request, wish.own),
            None => state.request = Some(wish.request),
        }
        for id in [Some(identity), place].into_iter().flatten() {
            hub.members.join(id, self.key);
        }
        // In this order: whoever dismisses notes that first, and then looks for members.
        state.revoke(hub, identity);
        self.start(hub, &mut state, (cadence, after));
        drop(state);
        hub.metrics.subscription_opened();
        // Where fields are ignored, equal states have unequal bodies: the client's may not be the
        // one that a delta would start from.
        let have = wish.have.filter(|_| self.about.watch.ignore.is_empty());
        Slot::new(Arc::clone(self), id, cadence, have)
    }

    /// Polls as often as the fastest wants it.
    fn start(
        self: &Arc<Self>,
        hub: &Arc<Inner>,
        state: &mut State,
        (cadence, after): (Duration, Option<Instant>),
    ) {
        let fastest = state.cadences.keys().next().copied().unwrap_or(cadence);
        let watch = || Arc::clone(&self.about.watch);
        if let Some(poller) = &state.poller {
            poller.cadence(fastest);
        } else {
            // A state that something has called into question since is asked for at once.
            let last = state.states.last().filter(|last| {
                state.states.verified().is_some() && after.is_none_or(|after| after < *last)
            });
            let sink = Arc::new(TopicSink::new(self, hub));
            let poller = hub.poller.load_full();
            state.poller = Some(poller.start(&hub.drain, (fastest, last), watch(), sink));
        }
        if state.leases.is_none() {
            return;
        }
        match &state.prover {
            Some(prover) => prover.look(),
            None => {
                let sink = Arc::new(TopicSink::new(self, hub));
                state.prover = Some(hub.poller.load_full().prove(&hub.drain, watch(), sink));
            }
        }
    }

    fn cadence(&self, hub: &Inner, every: Duration) -> Duration {
        let least = hub.settings.load().poll.min_interval;
        match self.about.watch.interval {
            Interval::Auto => every.max(least),
            Interval::Every(interval) => interval.max(least),
        }
    }

    /// Ends a subscription; the poller ends with the last one.
    pub fn unsubscribe(&self, hub: &Inner, id: u64) {
        let mut state = locked(&self.state);
        self.remove(hub, &mut state, id);
    }

    fn remove(&self, hub: &Inner, state: &mut State, id: u64) -> Option<Sub> {
        let sub = state.subs.remove(&id)?;
        hub.metrics.subscription_closed();
        for id in [Some(sub.identity), sub.place].into_iter().flatten() {
            hub.members.leave(id, self.key);
        }
        if let Some(leases) = &mut state.leases {
            leases.leave(sub.identity);
        }
        if let Some(count) = state.cadences.get_mut(&sub.cadence) {
            *count -= 1;
            if *count == 0 {
                state.cadences.remove(&sub.cadence);
            }
        }
        match (state.cadences.keys().next().copied(), &state.poller) {
            (Some(fastest), Some(poller)) => poller.cadence(fastest),
            (Some(_), None) => {}
            (None, _) => state.rest(),
        }
        Some(sub)
    }

    /// Ends all subscriptions of this identity or place, or of all, for this reason; what it was
    /// shown doesn't count any more.
    pub fn dismiss(
        &self,
        hub: &Inner,
        identity: Option<IdentityId>,
        reason: &'static str,
    ) -> Vec<Arc<Mailbox>> {
        let mut state = locked(&self.state);
        self.dismiss_in(hub, &mut state, identity, reason)
    }

    pub(super) fn dismiss_in(
        &self,
        hub: &Inner,
        state: &mut State,
        identity: Option<IdentityId>,
        reason: &'static str,
    ) -> Vec<Arc<Mailbox>> {
        let is = |id, sub: &Sub| id == sub.identity || Some(id) == sub.place;
        let theirs = |sub: &Sub| identity.is_none_or(|id| is(id, sub));
        let ids: Vec<_> =
            state.subs.iter().filter(|(_, sub)| theirs(sub)).map(|(id, _)| *id).collect();
        let mut told = Vec::new();
        for id in ids {
            if let Some(sub) = self.remove(hub, state, id) {
                sub.mailbox.end(sub.slot, reason);
                told.push(sub.mailbox);
            }
        }
        if let (Some(leases), Some(identity)) = (&mut state.leases, identity) {
            leases.forget(identity);
        }
        told
    }

    /// Ends it for good: whoever wants the same makes another one.
    pub fn dissolve(&self, hub: &Inner) {
        let mut state = locked(&self.state);
        self.dismiss_in(hub, &mut state, None, "anew");
        state.forget(hub);
    }

    /// Tells the subscriptions of this identity, or all, that there may be something new.
    pub(super) fn mark(state: &State, identity: Option<IdentityId>) {
        for sub in state.subs.values() {
            if identity.is_none_or(|identity| identity == sub.identity) {
                sub.mailbox.mark(sub.slot);
            }
        }
    }
}

impl State {
    /// Nobody subscribes: nobody is asked, and no credentials are kept.
    pub(super) fn rest(&mut self) {
        self.poller = None;
        self.prover = None;
        self.request = None;
        if let Some(leases) = &mut self.leases {
            leases.hush();
        }
        self.idle = Instant::now();
    }
}
