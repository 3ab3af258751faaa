//! Who may be given the state of a topic that several identities share, and who is asked next.
//!
//! Rules: an identity is given a state only while a request of its own was shown one not longer ago
//! than `poll.reauthorize`. A state that somebody else was shown is given to it only if two
//! identities were shown that very state by requests of their own, its own last answer was one that
//! others were shown too, and no dispute with it is open. With `proof = "each"`, never. In doubt,
//! nobody is given anything, and pages ask the network.

mod asking;
mod standing;

pub(super) use self::standing::Standing;

use super::super::state::Stale;
use super::trial::{Seat, Trial, Verdict};
use crate::config::{Audience, Poll, Proof, Watch};
use crate::watch::{IdentityId, PollRequest, StateHash, Validator};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Leases of identities without a subscription that one topic remembers; the oldest go first.
const IDLE_MOST: usize = 1024;
/// Disputes in a row that nothing can settle.
const UNSTEADY_MOST: u32 = 3;
/// An identity whose request failed is asked again after this, then twice as long, and so on.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(60);

/// What one identity has been shown, and what may be asked in its name.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// Of its newest subscription; gone with the last one.
    request: Option<PollRequest>,
    /// Subscriptions.
    subs: usize,
    /// Its newest own answer that was a state.
    shown: Option<Shown>,
    /// When its newest request began whose answer others were shown too.
    agreed: Option<Instant>,
    /// Its newest answer was none; when that request began.
    ill: Option<(Stale, Instant)>,
    /// Answers in a row that were none, and refusals among them.
    failures: u32,
    refusals: u32,
    /// Not to be asked before then.
    retry: Option<Instant>,
    /// Being asked.
    asking: bool,
    /// Its subscriptions were told that it ran out.
    lapsed: bool,
}

#[derive(Debug)]
struct Shown {
    hash: StateHash,
    begun: Instant,
    validator: Option<Validator>,
}

/// All leases of one topic, and what is known of its present state.
#[derive(Debug)]
pub(super) struct Leases {
    audience: Audience,
    proof: Proof,
    /// A lease counts this long from the begin of the request that gave it.
    term: Duration,
    pauses: [Duration; 2],
    /// Pollcast's own asker: no credentials (`public`), or those of the service.
    own: Option<(IdentityId, PollRequest)>,
    own_shown: Option<Shown>,
    all: BTreeMap<IdentityId, Lease>,
    /// In whose name the poller asked last.
    speaker: Option<IdentityId>,
    /// The present state.
    current: Option<StateHash>,
    /// The first who were shown it: two are enough.
    witnesses: Vec<IdentityId>,
    /// Who confirmed it last.
    last_by: Option<IdentityId>,
    /// The last proven state before the present one, and when it was last verified.
    outgoing: Option<(StateHash, Instant)>,
    /// Two were shown the present state.
    proven: bool,
    trial: Option<Trial>,
    /// Disputes in a row that came to nothing.
    unsteady: u32,
    /// Polls of the poller in a row that were no state.
    pub(super) failures: u32,
}

/// What an answer has brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing for others.
    Nothing,
    /// The present state may go to all with a lease.
    Proven,
    /// Two identities are shown different states.
    Differ,
    /// No two answers are the same.
    Unsteady,
}

impl Leases {
    pub(super) fn new(watch: &Watch, audience: Audience, poll: &Poll) -> Self {
        Self {
            audience,
            proof: watch.proof,
            term: poll.reauthorize - poll.reauthorize / 10,
            pauses: poll.settle,
            own: None,
            own_shown: None,
            all: BTreeMap::new(),
            speaker: None,
            current: None,
            witnesses: Vec::new(),
            last_by: None,
            outgoing: None,
            proven: false,
            trial: None,
            unsteady: 0,
            failures: 0,
        }
    }

    /// A subscription of this identity; `own` is what Pollcast asks in its own name.
    pub(super) fn join(
        &mut self,
        id: IdentityId,
        request: PollRequest,
        own: Option<(IdentityId, PollRequest)>,
    ) {
        self.own = own.or(self.own.take());
        let lease = self.all.entry(id).or_default();
        lease.subs += 1;
        lease.request = Some(request);
    }

    /// A subscription ended.
    pub(super) fn leave(&mut self, id: IdentityId) {
        if let Some(lease) = self.all.get_mut(&id) {
            lease.subs = lease.subs.saturating_sub(1);
            if lease.subs == 0 {
                lease.request = None;
                self.trial.take_if(|trial| trial.involves(id));
            }
        }
    }

    /// Nothing that this identity was shown counts any more.
    pub(super) fn forget(&mut self, id: IdentityId) {
        self.all.remove(&id);
        self.witnesses.retain(|witness| *witness != id);
        self.trial.take_if(|trial| trial.involves(id));
    }

    /// True if it may be asked for now.
    pub(super) fn stands(&self, id: IdentityId) -> bool {
        let trial = self.trial.as_ref().is_some_and(|trial| trial.involves(id));
        trial || self.is_own(id) || self.all.get(&id).is_some_and(|lease| lease.request.is_some())
    }

    /// True for Pollcast's own asker.
    pub(super) fn is_own(&self, id: IdentityId) -> bool {
        self.own.as_ref().is_some_and(|(own, _)| *own == id)
    }

    /// The request in this name is answered, somehow.
    pub(super) fn answered(&mut self, id: IdentityId) {
        if let Some(lease) = self.all.get_mut(&id) {
            lease.asking = false;
        }
    }

    /// Its request, which began at `begun`, got no state. `refused` if the origin refuses this
    /// identity. True if it did so twice in a row: then it is over.
    pub(super) fn failed(
        &mut self,
        (id, begun): (IdentityId, Instant),
        stale: Stale,
        refused: bool,
    ) -> bool {
        let now = Instant::now();
        let Some(lease) = self.all.get_mut(&id) else { return false };
        if lease.shown.as_ref().is_some_and(|shown| shown.begun > begun) {
            return false;
        }
        self.trial.take_if(|trial| trial.involves(id));
        if lease.ill.is_none_or(|(_, known)| known <= begun) {
            lease.ill = Some((stale, begun));
        }
        lease.retry = Some(now + (RETRY * 2_u32.pow(lease.failures.min(6))).min(RETRY_MOST));
        lease.failures = lease.failures.saturating_add(1);
        lease.refusals = if refused { lease.refusals + 1 } else { 0 };
        if refused {
            lease.shown = None;
            lease.agreed = None;
        }
        lease.refusals >= 2
    }

    /// The validator that this identity's 304 speaks of belongs to the present state.
    pub(super) fn is_current(&self, id: IdentityId, validator: &Validator) -> bool {
        let own = self.own.as_ref().filter(|(own, _)| *own == id).and(self.own_shown.as_ref());
        let shown = own.or_else(|| self.all.get(&id)?.shown.as_ref());
        self.validator(shown).as_ref() == Some(validator)
    }

    /// An own request of this identity, begun at `begun`, was shown the state `hash`. `newest` if
    /// that is the topic's present state now; `verified` is when the one before it was verified
    /// last; `request` repeats what was asked.
    pub(super) fn shown(
        &mut self,
        id: IdentityId,
        (hash, begun, validator): (StateHash, Instant, Option<Validator>),
        (newest, verified): (bool, Option<Instant>),
        request: Option<PollRequest>,
    ) -> Found {
        let now = Instant::now();
        self.note(id, (hash, begun, validator));
        let verdict = match &mut self.trial {
            Some(trial) => trial.answer((id, hash), now, self.pauses),
            None => Verdict::Open,
        };
        if verdict != Verdict::Open {
            self.trial = None;
        }
        let changed = newest && self.current != Some(hash);
        if changed {
            self.replace(id, (hash, verified), request, now);
        } else if self.current == Some(hash) && !self.witnesses.contains(&id) {
            self.witnesses.push(id);
            self.witnesses.truncate(2);
        }
        if newest {
            self.last_by = Some(id);
        }
        match verdict {
            Verdict::Differ => return Found::Differ,
            Verdict::Unsteady => {
                self.unsteady += 1;
                let hopeless = self.unsteady >= UNSTEADY_MOST;
                return if hopeless { Found::Unsteady } else { Found::Nothing };
            }
            Verdict::Open | Verdict::Agreed => {}
        }
        let before = self.is_proven() && !changed;
        self.proven |= self.witnesses.len() >= 2;
        if self.is_proven() {
            self.agree();
        }
        let outgoing = self.outgoing.is_some_and(|(outgoing, _)| outgoing == hash);
        if let Some(lease) = self.all.get_mut(&id).filter(|_| outgoing) {
            lease.agreed = lease.agreed.max(Some(begun));
        }
        if self.is_proven() && !before { Found::Proven } else { Found::Nothing }
    }

    fn note(
        &mut self,
        id: IdentityId,
        (hash, begun, validator): (StateHash, Instant, Option<Validator>),
    ) {
        let shown = Shown { hash, begun, validator };
        if self.own.as_ref().is_some_and(|(own, _)| *own == id) {
            self.own_shown = Some(shown);
            return;
        }
        if self.audience == Audience::Public {
            return;
        }
        if !self.all.contains_key(&id) {
            self.make_room();
        }
        let lease = self.all.entry(id).or_default();
        if lease.ill.is_none_or(|(_, failed)| failed <= begun) {
            (lease.ill, lease.retry) = (None, None);
            (lease.failures, lease.refusals) = (0, 0);
        }
        lease.lapsed = false;
        if lease.shown.as_ref().is_none_or(|known| known.begun <= begun) {
            lease.shown = Some(shown);
        }
    }

    fn replace(
        &mut self,
        id: IdentityId,
        (hash, verified): (StateHash, Option<Instant>),
        request: Option<PollRequest>,
        now: Instant,
    ) {
        if let (Some(before), Some(verified), true) = (self.current, verified, self.is_proven()) {
            self.outgoing = Some((before, verified));
        }
        let before = self.current.replace(hash);
        self.proven = false;
        // Whoever was shown it when it was the state before has been shown the same bytes.
        let again = |(other, lease): &(&IdentityId, &Lease)| {
            let shown = lease.shown.as_ref().is_some_and(|shown| shown.hash == hash);
            **other != id && shown && self.counts(lease, now)
        };
        let again = self.all.iter().find(again).map(|(other, _)| *other);
        self.witnesses.clear();
        self.witnesses.push(id);
        self.witnesses.extend(again);
        let other = self.last_by.filter(|other| *other != id);
        if let (None, Some(other), Some(before)) = (&self.trial, other, before)
            && let Some(theirs) = self.request_of(other)
            && let Some(mine) = request.or_else(|| self.request_of(id))
        {
            let seats = [
                Seat { id: other, hash: before, request: theirs },
                Seat { id, hash, request: mine },
            ];
            self.trial = Some(Trial::new(seats, now));
        }
    }

    /// What an identity was shown while others get something else: only a public topic's.
    pub(super) fn compare(
        &mut self,
        (id, hash): (IdentityId, StateHash),
        request: Option<PollRequest>,
    ) -> Found {
        let now = Instant::now();
        if let Some(trial) = &mut self.trial {
            let verdict = trial.answer((id, hash), now, self.pauses);
            if verdict != Verdict::Open {
                self.trial = None;
            }
            return if verdict == Verdict::Differ { Found::Differ } else { Found::Nothing };
        }
        if let (Some((own, theirs)), Some(current), Some(mine)) = (&self.own, self.current, request)
            && current != hash
        {
            let seats = [
                Seat { id: *own, hash: current, request: theirs.clone() },
                Seat { id, hash, request: mine },
            ];
            self.trial = Some(Trial::new(seats, now));
        }
        Found::Nothing
    }

    fn request_of(&self, id: IdentityId) -> Option<PollRequest> {
        let own = self.own.as_ref().filter(|(own, _)| *own == id);
        let own = own.map(|(_, request)| request.clone());
        own.or_else(|| self.all.get(&id)?.request.clone())
    }

    /// The present state is proven: whoever was shown it has agreed with somebody.
    fn agree(&mut self) {
        self.unsteady = 0;
        for lease in self.all.values_mut() {
            let shown = lease.shown.as_ref().filter(|shown| Some(shown.hash) == self.current);
            lease.agreed = lease.agreed.max(shown.map(|shown| shown.begun));
        }
    }

    /// Nobody is being asked: the prover has ended.
    pub(super) fn hush(&mut self) {
        self.trial = None;
        for lease in self.all.values_mut() {
            lease.asking = false;
        }
    }

    /// Leases that nobody subscribes with are remembered while they count, and not too many.
    fn make_room(&mut self) {
        if self.all.len() < IDLE_MOST {
            return;
        }
        let (now, term) = (Instant::now(), self.term);
        let counts =
            |lease: &Lease| lease.shown.as_ref().is_some_and(|shown| now < shown.begun + term);
        self.all.retain(|_, lease| lease.subs > 0 || counts(lease));
        while self.all.values().filter(|lease| lease.subs == 0).count() >= IDLE_MOST {
            let begun = |lease: &Lease| lease.shown.as_ref().map(|shown| shown.begun);
            let idle = self.all.iter().filter(|(_, lease)| lease.subs == 0);
            let Some(oldest) = idle.min_by_key(|(_, lease)| begun(lease)).map(|(id, _)| *id) else {
                return;
            };
            self.all.remove(&oldest);
        }
    }
}
