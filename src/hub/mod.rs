//! Topics and subscriptions: who gets which state, and when.
//!
//! Locks, always taken in this order, each for a few instructions and never across an await: the
//! topic map, one topic, one mailbox. A subscriber is added under the map's lock, so that the sweep
//! can't forget a topic that is being subscribed to.

mod demoted;
mod farewell;
mod fresh;
mod keep;
mod mailbox;
mod members;
mod revoke;
mod revoked;
mod state;
mod subscriber;
mod topic;

pub use demoted::Demoted;
pub use revoke::Dismissed;
pub use subscriber::{Subscriber, View};
pub use topic::About;

use crate::config::{Config, Limits, Poll};
use crate::drain::Drain;
use crate::telemetry::Metrics;
use crate::upstream::Origin;
use crate::watch::{
    Gate, IdentityId, Keyer, PollRequest, Poller, Refusal, Snapshot, StateHash, TopicKey,
};
use arc_swap::ArcSwap;
use keep::Keep;
use mailbox::Mailbox;
use members::Members;
use revoked::Revoked;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;
use topic::Topic;

/// What names the state of one passing answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The state.
    pub hash: StateHash,
    /// Its number within this process's epoch.
    pub seq: u64,
}

/// Who asked for what passed.
#[derive(Debug)]
pub struct Asker {
    /// Theirs.
    pub identity: IdentityId,
    /// Their request again, where the topic may be shared: a difference is looked into at once.
    pub request: Option<PollRequest>,
}

/// One topic that a stream wants.
#[derive(Debug)]
pub struct Wish {
    /// Which.
    pub key: TopicKey,
    /// Who wants it.
    pub identity: IdentityId,
    /// Where they are, if they have no credentials: whom all others like them are not.
    pub place: Option<IdentityId>,
    /// What Pollcast asks in its own name, where the watch is public or has credentials of its own.
    pub own: Option<(IdentityId, PollRequest)>,
    /// What it is about.
    pub about: About,
    /// What a central poll should send.
    pub request: PollRequest,
    /// State that the client holds.
    pub have: Option<StateHash>,
    /// How often the app polls.
    pub every: Duration,
    /// When its request came.
    pub asked: Instant,
}

/// The stream cap is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many streams: limits.streams is reached")]
pub struct Full;

/// All topics and streams of this process. Clones share them.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// What a configuration decides about topics.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// Caps.
    limits: Limits,
    /// Times of polls.
    poll: Poll,
}

struct Inner {
    /// Every topic in memory, those without subscribers for a while too. Ordered, so that a hint
    /// reaches pollers in the same order in every replay of a simulation.
    topics: Mutex<BTreeMap<TopicKey, Arc<Topic>>>,
    /// Every stream, so that `bye` reaches it; by a number that is never used again.
    streams: Mutex<(u64, BTreeMap<u64, Weak<Mailbox>>)>,
    /// Streams that count against the cap.
    open: AtomicUsize,
    /// Bytes and counts against the caps.
    keep: Keep,
    /// Which topics each identity subscribes to.
    members: Members,
    /// Whom the origin refused lately, or gave another name.
    revoked: Revoked,
    /// Watches that must not be shared.
    demoted: ArcSwap<BTreeMap<String, Demoted>>,
    /// Highest number of a state of any topic that was forgotten. A topic that is made again goes
    /// on above it: otherwise clients would take its states for older than those they know.
    newest: AtomicU64,
    /// Topics that can't be pushed and had to make room, and what must not be asked in the name of
    /// one of many identities: asking again could end a user's session. Keys only, as many as there
    /// may be topics; the oldest go first.
    outcasts: Mutex<VecDeque<TopicKey>>,
    /// When an identity last wrote: snapshots from before don't answer it. Entries older than
    /// `collapse_max_age` mean nothing.
    wrote: Mutex<HashMap<IdentityId, Instant>>,
    /// Replaced as a whole at a reload.
    settings: ArcSwap<Settings>,
    /// Shared by all pollers; replaced at a reload, running pollers keep theirs.
    poller: ArcSwap<Poller>,
    /// Names this run of this process.
    epoch: String,
    /// Jitter. Seeded, so that a simulation can be replayed.
    random: Mutex<fastrand::Rng>,
    /// Poller tasks.
    drain: Drain,
    /// Counters.
    metrics: Metrics,
}

impl Hub {
    /// An empty hub. `seed` feeds the epoch's name and all jitter.
    #[must_use]
    pub fn new(
        config: &Config,
        origin: Arc<dyn Origin>,
        keyer: Arc<Keyer>,
        (drain, metrics): (Drain, Metrics),
        seed: u64,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let epoch = format!("{:016x}", random.u64(..));
        let poller = poller(config, origin, keyer, &metrics);
        Self(Arc::new(Inner {
            topics: Mutex::default(),
            streams: Mutex::default(),
            open: AtomicUsize::new(0),
            keep: Keep::default(),
            members: Members::default(),
            revoked: Revoked::default(),
            demoted: ArcSwap::default(),
            newest: AtomicU64::new(0),
            outcasts: Mutex::default(),
            wrote: Mutex::default(),
            settings: ArcSwap::from_pointee(settings(config)),
            poller: ArcSwap::from_pointee(poller),
            epoch,
            random: Mutex::new(random),
            drain,
            metrics,
        }))
    }

    /// Names this run of this process: `seq` counts within it.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.0.epoch
    }

    /// Takes over the caps and times of a new configuration. Topics and streams go on.
    pub fn reconfigure(&self, config: &Config, origin: Arc<dyn Origin>, keyer: Arc<Keyer>) {
        self.0.settings.store(Arc::new(settings(config)));
        self.0.poller.store(Arc::new(poller(config, origin, keyer, &self.0.metrics)));
    }

    /// An answer that passed through to whoever asked, whose request began at `begun`. Creates the
    /// topic if there is room. Returns the position of that answer's state, or `None` if it
    /// can't be pushed.
    #[must_use]
    pub fn observe(
        &self,
        key: TopicKey,
        about: About,
        asker: Asker,
        (begun, answer): (Instant, Result<Snapshot, Refusal>),
    ) -> Option<Position> {
        let topic = {
            let mut topics = self.0.topics();
            match (topics.get(&key), &answer) {
                (Some(topic), _) => Arc::clone(topic),
                // A refusal of something nobody subscribes to is nobody's business.
                (None, Err(_)) => return None,
                (None, Ok(_)) => self.0.create(&mut topics, key, about)?,
            }
        };
        let (position, absorbed) = topic.passed(&self.0, asker, begun, answer);
        if let Some(effect) = absorbed.effect {
            self.0.act(&topic.about.watch, effect);
            return None;
        }
        position
    }

    /// True if a passing answer of this topic would tell somebody something.
    #[must_use]
    pub fn knows(&self, key: TopicKey) -> bool {
        self.0.topics().contains_key(&key)
    }

    /// Something says that topics may have changed: polls those that `touches` picks and somebody
    /// subscribes to.
    pub fn hint(&self, touches: impl Fn(&About) -> bool) {
        let now = Instant::now();
        let touched: Vec<_> = self
            .0
            .topics()
            .values()
            .filter(|topic| touches(&topic.about))
            .map(Arc::clone)
            .collect();
        for topic in touched {
            topic.hint(now);
        }
    }

    /// Opens a stream's subscriptions. A wish that can't be granted (`Err` names the reason) is
    /// `gone` on the stream.
    ///
    /// # Errors
    /// [`Full`] at the stream cap.
    pub fn subscribe(
        &self,
        wishes: Vec<Result<Wish, &'static str>>,
        view: View,
    ) -> Result<Subscriber, Full> {
        let limit = self.0.settings.load().limits.streams;
        let count = |open: usize| (open < limit).then_some(open + 1);
        if self.0.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_err() {
            self.0.metrics.limit("streams");
            return Err(Full);
        }
        self.0.metrics.stream_opened();
        let mailbox = Arc::new(Mailbox::new(wishes.len()));
        let id = {
            let mut streams = locked(&self.0.streams);
            streams.0 += 1;
            let id = streams.0;
            streams.1.insert(id, Arc::downgrade(&mailbox));
            id
        };
        let slots = wishes.into_iter().enumerate();
        let slots = slots.map(|(index, wish)| self.0.slot(index, wish, &mailbox)).collect();
        Ok(Subscriber::new(Arc::clone(&self.0), id, mailbox, slots, view))
    }

    /// Topics in memory, and how many of them are polled.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let topics = self.0.topics();
        (topics.len(), topics.values().filter(|topic| topic.is_polled()).count())
    }
}

impl Inner {
    /// A duration from half to one and a half of the given one.
    fn jitter(&self, around: Duration) -> Duration {
        around.mul_f64(0.5 + locked(&self.random).f64())
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<TopicKey, Arc<Topic>>> {
        locked(&self.topics)
    }

    /// Adds an empty topic, if there is room after idle ones have made place.
    fn create(
        &self,
        topics: &mut BTreeMap<TopicKey, Arc<Topic>>,
        key: TopicKey,
        about: About,
    ) -> Option<Arc<Topic>> {
        if self.is_outcast(key) || self.is_outdated(&about) {
            return None;
        }
        if topics.len() >= self.settings.load().limits.topics {
            self.forget_idle(topics, Duration::ZERO, false);
            if topics.len() >= self.settings.load().limits.topics {
                self.forget_idle(topics, Duration::ZERO, true);
            }
            if topics.len() >= self.settings.load().limits.topics {
                self.metrics.limit("topics");
                return None;
            }
        }
        let topic = Arc::new(Topic::new(
            key,
            about,
            self.newest.load(Ordering::Relaxed),
            &self.settings.load().poll,
        ));
        topics.insert(key, Arc::clone(&topic));
        self.metrics.topics(i64::try_from(topics.len()).unwrap_or(i64::MAX));
        Some(topic)
    }

    fn forget_idle(
        &self,
        topics: &mut BTreeMap<TopicKey, Arc<Topic>>,
        linger: Duration,
        crowded: bool,
    ) {
        let now = Instant::now();
        topics.retain(|_, topic| !topic.forget_if_idle(self, now, (linger, crowded)));
        self.metrics.topics(i64::try_from(topics.len()).unwrap_or(i64::MAX));
    }

    fn slot(
        self: &Arc<Self>,
        index: usize,
        wish: Result<Wish, &'static str>,
        mailbox: &Arc<Mailbox>,
    ) -> subscriber::Slot {
        let wish = match wish {
            Ok(wish) => wish,
            Err(reason) => return subscriber::Slot::refused(reason),
        };
        let About { watch, path, .. } = &wish.about;
        if self.is_outcast(wish.identity.at(&watch.name, path)) {
            return subscriber::Slot::refused("unwatchable");
        }
        let mut topics = self.topics();
        let topic = match topics.get(&wish.key) {
            Some(topic) => Some(Arc::clone(topic)),
            None => self.create(&mut topics, wish.key, wish.about.clone()),
        };
        match topic {
            Some(topic) => {
                let (who, asked) = ([Some(wish.identity), wish.place], wish.asked);
                let slot = topic.subscribe(self, wish, (index, mailbox));
                // The stream's request was on its way when the origin refused them.
                for id in who.into_iter().flatten() {
                    let revoked = self.revoked.of(id).filter(|(since, _)| *since >= asked);
                    if let Some((_, reason)) = revoked {
                        topic.dismiss(self, Some(id), reason);
                    }
                }
                slot
            }
            None if self.is_outdated(&wish.about) => subscriber::Slot::refused("anew"),
            None => subscriber::Slot::refused("limit"),
        }
    }
}

fn settings(config: &Config) -> Settings {
    Settings { limits: config.limits, poll: config.poll }
}

fn poller(
    config: &Config,
    origin: Arc<dyn Origin>,
    keyer: Arc<Keyer>,
    metrics: &Metrics,
) -> Poller {
    Poller {
        origin,
        gate: Arc::new(Gate::new(&config.poll, metrics.clone())),
        times: config.poll,
        body_limit: config.limits.body,
        keyer,
    }
}

/// A panic while a lock was held is a bug of ours; going on with the data as it is serves the user
/// better than failing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
