//! One topic: its states, its subscribers, its poller.

mod sink;

use super::mailbox::Mailbox;
use super::state::{Stale, States};
use super::subscriber::{Slot, Told};
use super::{Inner, Position, View, Wish, locked};
use crate::config::{Interval, Watch};
use crate::watch::{Outcome, PollHandle, Refusal, Seen, Snapshot, StateHash, TopicKey};
use bytes::Bytes;
use sink::TopicSink;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// A topic that can't be pushed is remembered this long: asking again could end the user's session
/// again.
const REMEMBER_REFUSED: Duration = Duration::from_secs(600);

/// What a topic is about.
#[derive(Clone, Debug)]
pub struct About {
    /// Its rule.
    pub watch: Arc<Watch>,
    /// Path of the target, without the query.
    pub path: String,
}

/// One polled representation.
pub struct Topic {
    /// Its key in the map.
    key: TopicKey,
    /// Rule and path.
    pub about: About,
    /// Everything that changes.
    state: Mutex<State>,
}

struct State {
    /// What the origin was seen to say.
    states: States,
    /// Bytes that count against the cap for this topic.
    held: usize,
    /// Subscriptions, by a number that is never used again.
    subs: BTreeMap<u64, Sub>,
    /// Number of the newest subscription.
    newest: u64,
    /// How often each cadence is wanted: the first is the poller's.
    cadences: BTreeMap<Duration, usize>,
    /// Polls while there is a subscriber, and only then.
    poller: Option<PollHandle>,
    /// Since when nobody subscribes.
    idle: Instant,
    /// The last hint that touched this topic.
    hinted: Option<Instant>,
    /// A subscriber waits for the state to be verified: tell all when it is, even if it is the
    /// same.
    awaited: bool,
    /// The map has let go of it: whoever still holds it must not count bytes for it again.
    forgotten: bool,
}

/// One subscription.
struct Sub {
    /// Its stream.
    mailbox: Arc<Mailbox>,
    /// Its place in the stream.
    slot: usize,
    /// The last hint before it: a state from before that may lack a write that this client has
    /// seen already. The last before it, not the last: who comes to a topic that is written to all
    /// the time would wait for ever.
    after: Option<Instant>,
}

/// What there is to tell a subscriber.
pub enum News {
    /// Nothing.
    Nothing,
    /// Not to be answered locally.
    Stale(Stale),
    /// Not on this stream any more.
    Gone(&'static str),
    /// To the state `hash`: event name and bytes.
    State(&'static str, Bytes, StateHash),
}

impl Topic {
    /// Without a state and without subscribers; its states are numbered above `seq`.
    pub fn new(key: TopicKey, about: About, seq: u64) -> Self {
        let state = State {
            states: States::after(seq),
            held: 0,
            subs: BTreeMap::new(),
            newest: 0,
            cadences: BTreeMap::new(),
            poller: None,
            idle: Instant::now(),
            hinted: None,
            awaited: false,
            forgotten: false,
        };
        Self { key, about, state: Mutex::new(state) }
    }

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
        state.newest += 1;
        let (id, after) = (state.newest, state.hinted);
        state.subs.insert(id, Sub { mailbox: Arc::clone(mailbox), slot, after });
        let cadence = self.cadence(hub, wish.every);
        *state.cadences.entry(cadence).or_insert(0) += 1;
        let fastest = state.cadences.keys().next().copied().unwrap_or(cadence);
        match &state.poller {
            Some(poller) => {
                poller.request(wish.request);
                poller.cadence(fastest);
            }
            None => {
                let sink = TopicSink::new(self, hub);
                // A state that a hint has called into question since is asked for at once.
                let last = state.states.last().filter(|last| {
                    state.states.verified().is_some() && state.hinted.is_none_or(|h| h < *last)
                });
                let ignored = self.about.watch.ignore.clone().into();
                let poller = hub.poller.load_full();
                let times = (fastest, last);
                state.poller =
                    Some(poller.start(&hub.drain, wish.request, times, ignored, Arc::new(sink)));
            }
        }
        drop(state);
        hub.metrics.subscription_opened();
        // Where fields are ignored, equal states have unequal bodies: the client's may not be the
        // one that a delta would start from.
        let have = wish.have.filter(|_| self.about.watch.ignore.is_empty());
        Slot::new(Arc::clone(self), id, cadence, have)
    }

    /// Ends a subscription; the poller ends with the last one.
    pub fn unsubscribe(&self, hub: &Inner, id: u64, cadence: Duration) {
        let mut state = locked(&self.state);
        if state.subs.remove(&id).is_none() {
            return;
        }
        hub.metrics.subscription_closed();
        if let Some(count) = state.cadences.get_mut(&cadence) {
            *count -= 1;
            if *count == 0 {
                state.cadences.remove(&cadence);
            }
        }
        match state.cadences.keys().next().copied() {
            Some(fastest) => {
                if let Some(poller) = &state.poller {
                    poller.cadence(fastest);
                }
            }
            None => {
                state.poller = None;
                state.idle = Instant::now();
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

    /// A write or another signal touches this topic.
    pub fn hint(&self, now: Instant) {
        let mut state = locked(&self.state);
        state.hinted = Some(now);
        if let Some(poller) = &state.poller {
            poller.hint(now);
        }
    }

    /// The state, if it was verified by a request that began after `oldest` and after the last
    /// hint.
    pub fn fresh(&self, oldest: Instant) -> Option<(Arc<Snapshot>, Position)> {
        let state = locked(&self.state);
        let (snapshot, seq, verified) = state.states.verified()?;
        let fresh = verified > oldest && state.hinted.is_none_or(|hinted| verified > hinted);
        fresh.then(|| (Arc::clone(snapshot), Position { hash: snapshot.hash, seq }))
    }

    /// An answer passed through. Returns where its state stands.
    pub fn passed(
        &self,
        hub: &Inner,
        begun: Instant,
        answer: Result<Snapshot, Refusal>,
    ) -> Option<Position> {
        let hash = answer.as_ref().map(|snapshot| snapshot.hash).ok();
        let outcome = answer.map_or_else(Outcome::Refused, Outcome::State);
        let mut state = locked(&self.state);
        self.absorb(hub, &mut state, begun, outcome);
        if let Some(poller) = &state.poller {
            poller.observed(begun);
        }
        let room = state.states.current().is_some() && !state.forgotten;
        hash.filter(|_| room).map(|hash| state.states.position(hash))
    }

    /// What to tell subscription `id`, which holds `held` and was told `told`.
    pub fn news(
        &self,
        id: u64,
        (held, told): (Option<StateHash>, Told),
        bound: Duration,
        view: View,
    ) -> News {
        let mut state = locked(&self.state);
        let after = match state.subs.get(&id) {
            Some(sub) => sub.after,
            None => return News::Gone("unwatchable"),
        };
        let overdue = match state.states.verified() {
            None => true,
            Some((_, _, verified)) => {
                verified.elapsed() > bound || after.is_some_and(|after| verified <= after)
            }
        };
        if overdue {
            // From here on any verification is news to this subscriber.
            state.awaited = true;
            let stale = state.states.stale().or_else(|| {
                // Nothing was promised yet, so there is nothing to take back.
                (told == Told::State).then_some(Stale { reason: "unverified", status: None })
            });
            return match stale {
                Some(stale) if told != Told::Stale => News::Stale(stale),
                _ => News::Nothing,
            };
        }
        let Some(hash) = state.states.current().map(|now| now.hash) else { return News::Nothing };
        if told == Told::State && held == Some(hash) {
            return News::Nothing;
        }
        match state.states.frame(held, view) {
            Some((event, bytes)) => News::State(event, bytes, hash),
            None => News::Nothing,
        }
    }

    /// True if the state isn't verified within `bound`.
    pub fn is_overdue(&self, bound: Duration, now: Instant) -> bool {
        let state = locked(&self.state);
        let verified = state.states.verified();
        verified.is_none_or(|(_, _, verified)| now.saturating_duration_since(verified) > bound)
    }

    /// True while somebody subscribes.
    pub fn is_polled(&self) -> bool {
        locked(&self.state).poller.is_some()
    }

    /// Gives back its bytes if nobody has subscribed for `linger`; the caller then removes it. One
    /// that can't be pushed is kept for longer, unless `crowded`: otherwise whoever knows ten
    /// thousand URLs of that kind could keep all others out.
    pub fn forget_if_idle(
        &self,
        hub: &Inner,
        now: Instant,
        (linger, crowded): (Duration, bool),
    ) -> bool {
        let mut state = locked(&self.state);
        let linger = match state.states.is_refused() && !crowded {
            true => REMEMBER_REFUSED,
            false => linger,
        };
        let idle = state.subs.is_empty() && now.saturating_duration_since(state.idle) >= linger;
        if idle {
            hub.keep.change(state.held, 0, 0);
            state.held = 0;
            state.forgotten = true;
            if state.states.is_refused() && crowded {
                let most = hub.settings.load().limits.topics;
                let mut outcasts = locked(&hub.outcasts);
                outcasts.push_back(self.key);
                let over = outcasts.len().saturating_sub(most);
                outcasts.drain(..over);
            }
            hub.newest.fetch_max(state.states.seq(), Ordering::Relaxed);
        }
        idle
    }

    fn absorb(&self, hub: &Inner, state: &mut State, begun: Instant, outcome: Outcome) -> Seen {
        if state.forgotten {
            return Seen::Older;
        }
        let limits = hub.settings.load().limits;
        let was_stale = state.states.stale().is_some();
        let seen = state.states.observe(begun, outcome, limits.history);
        if seen == Seen::Changed && !fits(hub, state, limits.snapshots) {
            hub.metrics.limit("snapshots");
            tracing::warn!(watch = %self.about.watch.name, "limits.snapshots is reached");
            state.states.no_room();
        }
        if seen == Seen::Over {
            self.end(hub, state);
            return seen;
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
            for sub in state.subs.values() {
                sub.mailbox.mark(sub.slot);
            }
        }
        seen
    }

    /// It can't be pushed: its subscriptions end, and nothing asks the origin any more.
    fn end(&self, hub: &Inner, state: &mut State) {
        hub.keep.change(state.held, 0, 0);
        state.held = 0;
        state.cadences.clear();
        if state.poller.take().is_some() {
            state.idle = Instant::now();
            tracing::info!(watch = %self.about.watch.name, "not pushed: see `unwatchable`");
        }
        for sub in std::mem::take(&mut state.subs).into_values() {
            hub.metrics.subscription_closed();
            sub.mailbox.mark(sub.slot);
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

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("key", &self.key).finish_non_exhaustive()
    }
}
