//! One topic: its states, its subscribers, its poller.

mod absorb;
mod leases;
mod members;
mod shared;
mod sink;
mod trial;

pub use self::absorb::Effect;
use self::absorb::{Absorbed, Lane};
use self::leases::{Leases, Standing};
use super::mailbox::Mailbox;
use super::state::{Stale, States};
use super::subscriber::Told;
use super::{Asker, Inner, Position, View, locked};
use crate::config::{Audience, Poll, Watch};
use crate::watch::{
    IdentityId, Outcome, PollHandle, PollRequest, ProofHandle, Refusal, Seen, Snapshot, StateHash,
    TopicKey,
};
use bytes::Bytes;
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
    /// Who may share it: the watch's audience, unless that was demoted.
    pub audience: Audience,
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
    /// What a poll sends, of the newest subscription; while there is one, and where the topic is
    /// one identity's.
    request: Option<PollRequest>,
    /// Who may be given the state, where several identities share it.
    leases: Option<Box<Leases>>,
    /// Asks in the name of those; lives as long as the poller.
    prover: Option<ProofHandle>,
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
    /// Whose it is.
    identity: IdentityId,
    /// Where they are, if they are nobody.
    place: Option<IdentityId>,
    /// How often the app polls, within the watch's rule.
    cadence: Duration,
    /// The last hint before it: a state from before that may lack a write that this client has
    /// seen already. Or when the origin refused it last. The last before it, not the last: who
    /// comes to a topic that is written to all the time would wait for ever.
    after: Option<Instant>,
}

/// What there is to tell a subscriber.
pub enum News {
    /// Nothing.
    Nothing,
    /// Not to be answered locally.
    Stale(Stale),
    /// Not on this stream any more.
    Gone,
    /// To a state: event name and bytes, its hash and number.
    State(&'static str, Bytes, (StateHash, u64)),
}

impl Topic {
    /// Without a state and without subscribers; its states are numbered above `seq`.
    pub fn new(key: TopicKey, about: About, seq: u64, poll: &Poll) -> Self {
        let shared = about.audience != Audience::Credential;
        let leases = shared.then(|| Box::new(Leases::new(&about.watch, about.audience, poll)));
        let state = State {
            states: States::after(seq),
            held: 0,
            subs: BTreeMap::new(),
            newest: 0,
            cadences: BTreeMap::new(),
            poller: None,
            request: None,
            leases,
            prover: None,
            idle: Instant::now(),
            hinted: None,
            awaited: false,
            forgotten: false,
        };
        Self { key, about, state: Mutex::new(state) }
    }

    /// A write or another signal touches this topic.
    pub fn hint(&self, now: Instant) {
        let mut state = locked(&self.state);
        state.hinted = Some(now);
        if let Some(poller) = &state.poller {
            poller.hint(now);
        }
    }

    /// The state, if it may be given to this identity, and was verified by a request that began
    /// after `oldest` and after the last hint.
    pub fn fresh(
        &self,
        hub: &Inner,
        identity: IdentityId,
        oldest: Instant,
    ) -> Option<(Arc<Snapshot>, Position)> {
        let mut state = locked(&self.state);
        state.revoke(hub, identity);
        let standing = state.standing(identity, Instant::now());
        let (snapshot, seq, verified) = state.states.verified()?;
        let fresh = verified > oldest && state.hinted.is_none_or(|hinted| verified > hinted);
        let fresh = fresh && standing == Standing::Sees;
        fresh.then(|| (Arc::clone(snapshot), Position { hash: snapshot.hash, seq }))
    }

    /// An answer passed through to `asker`. Returns where its state stands, and what else has to be
    /// done.
    pub fn passed(
        &self,
        hub: &Inner,
        asker: Asker,
        begun: Instant,
        answer: Result<Snapshot, Refusal>,
    ) -> (Option<Position>, Absorbed) {
        let hash = answer.as_ref().map(|snapshot| snapshot.hash).ok();
        let outcome = answer.map_or_else(Outcome::Refused, Outcome::State);
        let mut state = locked(&self.state);
        let absorbed = self.absorb(hub, &mut state, (asker, Lane::Passing), begun, outcome);
        let room = state.states.current().is_some() && !state.forgotten;
        let good = room && absorbed.seen != Seen::Stale;
        let position = hash.filter(|_| good).map(|hash| {
            let position = state.states.position(hash);
            // What only credentials show isn't the public state; it may be a change of it that is
            // about to be seen.
            let ahead = absorbed.compared && state.states.current().is_some_and(|s| s.hash != hash);
            if ahead { Position { seq: state.states.seq() + 1, ..position } } else { position }
        });
        (position, absorbed)
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
        let now = Instant::now();
        let (identity, after) = match state.subs.get(&id) {
            Some(sub) => (sub.identity, sub.after),
            None => return News::Gone,
        };
        let standing = state.standing(identity, now);
        if state.vouches((standing, after), held, bound, now) {
            let sees = standing == Standing::Sees;
            let Some(hash) = state.states.current().map(|now| now.hash).filter(|_| sees) else {
                return News::Nothing;
            };
            // The client may have read the states between from the network: what it is told of a
            // state that is back is its number.
            let seq = state.states.seq();
            if told == Told::State(seq) && held == Some(hash) {
                return News::Nothing;
            }
            return match state.states.frame(held, view) {
                Some((event, bytes)) => News::State(event, bytes, (hash, seq)),
                None => News::Nothing,
            };
        }
        let promised = matches!(told, Told::State(_));
        // From here on any verification is news to this subscriber.
        state.awaited = true;
        let own = match standing {
            Standing::Not(stale) if stale.reason != "lease" || promised => Some(stale),
            _ => None,
        };
        let stale = own.or_else(|| state.states.stale()).or_else(|| {
            // Nothing was promised yet, so there is nothing to take back.
            promised.then_some(Stale { reason: "unverified", status: None })
        });
        match stale {
            Some(stale) if told != Told::Stale => News::Stale(stale),
            _ => News::Nothing,
        }
    }

    /// True if what subscription `id` holds isn't verified within `bound`, or its identity may not
    /// have it any more.
    pub fn is_overdue(
        &self,
        id: u64,
        held: Option<StateHash>,
        bound: Duration,
        now: Instant,
    ) -> bool {
        let state = locked(&self.state);
        let Some(sub) = state.subs.get(&id) else { return true };
        !state.vouches((state.standing(sub.identity, now), None), held, bound, now)
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
            state.forget(hub);
            if state.states.is_refused() && crowded {
                hub.cast_out(self.key);
            }
        }
        idle
    }
}

impl State {
    /// How an identity stands; of a topic of its own it sees all.
    fn standing(&self, identity: IdentityId, now: Instant) -> Standing {
        self.leases.as_ref().map_or(Standing::Sees, |leases| leases.standing(identity, now))
    }

    /// What an identity was shown before the origin refused it gives it nothing.
    fn revoke(&mut self, hub: &Inner, identity: IdentityId) {
        if let Some(leases) = &mut self.leases
            && let Some((since, _)) = hub.revoked.of(identity)
        {
            leases.revoke(identity, since);
        }
    }

    /// True if beats may vouch for what a subscription holds: the present state (which it holds or
    /// is about to be given), or, while it waits for that one's proof, the one before.
    fn vouches(
        &self,
        (standing, after): (Standing, Option<Instant>),
        held: Option<StateHash>,
        bound: Duration,
        now: Instant,
    ) -> bool {
        let verified = match standing {
            Standing::Not(_) => None,
            Standing::Sees => self.states.verified().map(|(_, _, verified)| verified),
            Standing::Waits(outgoing) => outgoing
                .filter(|(hash, _)| held == Some(*hash) && self.states.stale().is_none())
                .map(|(_, verified)| verified),
        };
        verified.is_some_and(|verified| {
            let fresh = now.saturating_duration_since(verified) <= bound;
            fresh && after.is_none_or(|after| verified > after)
        })
    }

    /// The map lets go of the topic: no bytes of it count any more, and whatever is made in its
    /// place has higher numbers.
    fn forget(&mut self, hub: &Inner) {
        hub.keep.change(self.held, 0, 0);
        self.held = 0;
        self.forgotten = true;
        hub.newest.fetch_max(self.states.seq(), Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("key", &self.key).finish_non_exhaustive()
    }
}
