//! One topic's states: the present one, a few past ones, and the frames made of them.

use super::{Position, View};
use crate::stream::frames;
use crate::watch::{Outcome, Refusal, Seen, Snapshot, StateHash};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// Why a topic must not be answered locally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// As in `stale` events.
    pub reason: &'static str,
    /// The origin's status, where that is the reason.
    pub status: Option<u16>,
}

/// The states of one topic. Only observations change it.
#[derive(Debug, Default)]
pub struct States {
    /// The newest state and its number.
    current: Option<(Arc<Snapshot>, u64)>,
    /// Past states, newest first.
    past: VecDeque<(Arc<Snapshot>, u64)>,
    /// Number of the newest state.
    seq: u64,
    /// When the newest request that confirmed `current` began.
    verified: Option<Instant>,
    /// When the newest observation of any kind began: older ones are dropped.
    last: Option<Instant>,
    /// Set while the newest observation wasn't a state.
    stale: Option<Stale>,
    /// The endpoint can't be pushed to this identity.
    refused: bool,
    /// Encoded once per transition; emptied when `current` changes.
    frames: Frames,
}

/// Frames to the present state.
#[derive(Debug, Default)]
struct Frames {
    /// Shared part of the `snapshot` event.
    whole: Option<Bytes>,
    /// Shared part of the `current` event.
    current: Option<Bytes>,
    /// `snapshot` event of the plain view.
    plain: Option<Bytes>,
    /// Shared parts of `delta` events by what they start from; `None` where the snapshot is
    /// shorter.
    deltas: Vec<(StateHash, Option<Bytes>)>,
    /// `patch` events of the plain view.
    patches: Vec<(StateHash, Option<Bytes>)>,
}

impl States {
    /// No state yet; the first will have a number above `seq`.
    pub fn after(seq: u64) -> Self {
        Self { seq, ..Self::default() }
    }

    /// Number of the newest state.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The newest state that is known to hold, and when the request that confirmed it began.
    pub fn verified(&self) -> Option<(&Arc<Snapshot>, u64, Instant)> {
        let (snapshot, seq) = self.current.as_ref().filter(|_| self.stale.is_none())?;
        Some((snapshot, *seq, self.verified?))
    }

    /// Why the topic must not be answered locally.
    pub fn stale(&self) -> Option<Stale> {
        self.stale
    }

    /// True if the endpoint can't be pushed to this identity.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// The newest state, even while stale.
    pub fn current(&self) -> Option<&Arc<Snapshot>> {
        self.current.as_ref().map(|(snapshot, _)| snapshot)
    }

    /// When the newest observation began.
    pub fn last(&self) -> Option<Instant> {
        self.last
    }

    /// Takes in what a request that began at `begun` found.
    pub fn observe(&mut self, begun: Instant, outcome: Outcome, history: usize) -> Seen {
        if self.refused {
            return Seen::Over;
        }
        // However old it is, it shows what polling does to this user.
        let rotates = matches!(outcome, Outcome::Refused(Refusal::Identity(_)));
        if !rotates && self.last.is_some_and(|last| begun < last) {
            return Seen::Older;
        }
        let seen = match outcome {
            Outcome::State(snapshot) => self.state(begun, snapshot, history),
            Outcome::NotModified(validator) => {
                // The state of that validator, which need not be the present one: an answer may
                // have passed meanwhile.
                if self.current().is_none_or(|now| now.validator.as_ref() != Some(&validator)) {
                    return Seen::Unclear;
                }
                self.confirm(begun)
            }
            Outcome::Refused(refusal) if refusal.is_final() => {
                // For good: one answer without a new cookie says nothing about the next.
                *self = Self { seq: self.seq, refused: true, ..Self::default() };
                Seen::Over
            }
            Outcome::Refused(refusal) => {
                let status = match refusal {
                    Refusal::Status(status) => Some(status.as_u16()),
                    _ => None,
                };
                let reason = if matches!(refusal, Refusal::TooLong) { "limit" } else { "status" };
                self.fail(Stale { reason, status })
            }
            Outcome::Failed(error) => {
                use crate::upstream::PollError;
                let reason = match error {
                    PollError::Timeout => "timeout",
                    PollError::Io(_) => "error",
                    PollError::TooLong => "limit",
                };
                self.fail(Stale { reason, status: None })
            }
        };
        self.last = Some(begun);
        seen
    }

    /// A request that began at `begun` showed the present state again.
    pub fn same(&mut self, begun: Instant) -> Seen {
        if self.last.is_some_and(|last| begun < last) {
            return Seen::Older;
        }
        self.last = Some(begun);
        self.confirm(begun)
    }

    /// A request that began at `begun` showed that nobody gets a state.
    pub fn failed(&mut self, begun: Instant, stale: Stale) -> Seen {
        if self.last.is_some_and(|last| begun < last) {
            return Seen::Older;
        }
        self.last = Some(begun);
        self.fail(stale)
    }

    /// There is no room for the state: nobody can be told, so nobody is answered locally.
    pub fn no_room(&mut self) {
        *self = Self { seq: self.seq, last: self.last, ..Self::default() };
        self.stale = Some(Stale { reason: "limit", status: None });
    }

    fn state(&mut self, begun: Instant, snapshot: Snapshot, history: usize) -> Seen {
        if self.current().is_some_and(|now| now.hash == snapshot.hash) {
            // A validator may change without the state's changing; the newest is the one to send.
            self.renew_validator(&snapshot);
            return self.confirm(begun);
        }
        self.seq += 1;
        let new = (Arc::new(snapshot), self.seq);
        if let Some(old) = self.current.replace(new) {
            self.past.push_front(old);
        }
        self.past.truncate(history);
        self.frames = Frames::default();
        self.confirm(begun);
        Seen::Changed
    }

    fn renew_validator(&mut self, snapshot: &Snapshot) {
        if let Some((now, _)) = &mut self.current
            && now.validator != snapshot.validator
        {
            let mut renewed = now.as_ref().clone();
            renewed.validator.clone_from(&snapshot.validator);
            *now = Arc::new(renewed);
        }
    }

    fn confirm(&mut self, begun: Instant) -> Seen {
        self.verified = Some(begun);
        self.stale = None;
        Seen::Same
    }

    fn fail(&mut self, stale: Stale) -> Seen {
        self.stale = Some(stale);
        Seen::Stale
    }

    /// Where a state stands. An answer that was overtaken by a newer one, and whose state nobody
    /// else has seen, stands just before the present state: the client then takes what the
    /// stream says for newer.
    pub fn position(&self, hash: StateHash) -> Position {
        let known = self.current.iter().chain(&self.past).find(|(state, _)| state.hash == hash);
        let seq = known.map_or(self.seq.saturating_sub(1), |(_, seq)| *seq);
        Position { hash, seq }
    }

    /// Bytes held, near enough for the cap. Frames count as if they were made: they will be.
    pub fn cost(&self) -> usize {
        let past: usize = self.past.iter().map(|(state, _)| state.cost()).sum();
        past + self.current().map_or(0, |state| 2 * state.cost())
    }

    /// Gives up past states: slow readers then get snapshots.
    pub fn forget_past(&mut self) {
        self.past.clear();
        self.frames.deltas.clear();
        self.frames.patches.clear();
    }

    /// What brings a client from `held` to the present state: event name and bytes. `None` if there
    /// is no state.
    pub fn frame(&mut self, held: Option<StateHash>, view: View) -> Option<(&'static str, Bytes)> {
        let (now, seq) = self.current.clone()?;
        if held == Some(now.hash) {
            let make = || frames::current(&now, seq);
            return Some(("current", self.frames.current.get_or_insert_with(make).clone()));
        }
        let from = held.and_then(|held| self.past.iter().find(|(state, _)| state.hash == held));
        let from = from.map(|(state, _)| Arc::clone(state));
        if view != View::Shim {
            return Some(self.plain(&now, from.filter(|_| view == View::Patch)));
        }
        let whole = self.frames.whole.get_or_insert_with(|| frames::snapshot(&now, seq)).clone();
        let Some(from) = from else { return Some(("snapshot", whole)) };
        let make = || frames::delta(&from, &now, seq, &whole);
        match cached(&mut self.frames.deltas, from.hash, make) {
            Some(delta) => Some(("delta", delta)),
            None => Some(("snapshot", whole)),
        }
    }

    fn plain(&mut self, now: &Snapshot, from: Option<Arc<Snapshot>>) -> (&'static str, Bytes) {
        let patch = from.and_then(|from| {
            let make = || frames::plain_patch(&from, now);
            cached(&mut self.frames.patches, from.hash, make)
        });
        match patch {
            Some(patch) => ("delta", patch),
            None => {
                let make = || frames::plain_snapshot(now);
                ("snapshot", self.frames.plain.get_or_insert_with(make).clone())
            }
        }
    }
}

/// At most one entry per past state, since only those are looked up.
fn cached(
    entries: &mut Vec<(StateHash, Option<Bytes>)>,
    from: StateHash,
    make: impl FnOnce() -> Option<Bytes>,
) -> Option<Bytes> {
    if let Some((_, known)) = entries.iter().find(|(hash, _)| *hash == from) {
        return known.clone();
    }
    let made = make();
    entries.push((from, made.clone()));
    made
}
