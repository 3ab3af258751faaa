//! One stream's side of the hub: what it was told, and what to tell it next.

use super::mailbox::{Mailbox, Mark};
use super::topic::{News, Topic};
use super::{Inner, locked};
use crate::http::Frame;
use crate::stream::{Bye, Signal, Source, frames};
use crate::watch::StateHash;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How a stream wants its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As the page's script reads them.
    Shim,
    /// Plain, changes as JSON Patch.
    Patch,
    /// Plain, changes as whole bodies.
    Full,
}

/// What a subscriber was last told about a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing yet.
    Nothing,
    /// The state of this number, which beats vouch for.
    State(u64),
    /// Not to be answered locally.
    Stale,
}

/// One topic of one stream.
pub struct Slot(Seat);

enum Seat {
    /// Subscribed.
    Taken(Taken),
    /// To be told `gone` for this reason.
    Leaving(&'static str),
    /// Told.
    Left,
}

struct Taken {
    topic: Arc<Topic>,
    /// The subscription's number.
    id: u64,
    /// How often the app polls, within the watch's rule.
    cadence: Duration,
    /// State that the client holds.
    held: Option<StateHash>,
    told: Told,
}

impl Slot {
    /// A topic that can't be had.
    pub(super) fn refused(reason: &'static str) -> Self {
        Self(Seat::Leaving(reason))
    }

    pub(super) fn new(
        topic: Arc<Topic>,
        id: u64,
        cadence: Duration,
        held: Option<StateHash>,
    ) -> Self {
        Self(Seat::Taken(Taken { topic, id, cadence, held, told: Told::Nothing }))
    }
}

impl Taken {
    /// How old the last verification may be: what the app would see by polling itself, give or take
    /// half a poll.
    fn bound(&self) -> Duration {
        self.cadence + (self.cadence / 2).max(Duration::from_secs(1))
    }
}

/// The subscriptions of one stream. Dropping it ends them.
pub struct Subscriber {
    hub: Arc<Inner>,
    /// The stream's number.
    id: u64,
    mailbox: Arc<Mailbox>,
    /// In the client's order.
    slots: Vec<Slot>,
    view: View,
    /// A topic is gone that the client can have again at once.
    anew: bool,
}

impl Subscriber {
    pub(super) fn new(
        hub: Arc<Inner>,
        id: u64,
        mailbox: Arc<Mailbox>,
        slots: Vec<Slot>,
        view: View,
    ) -> Self {
        Self { hub, id, mailbox, slots, view, anew: false }
    }

    /// The fastest cadence of its topics, for the heart's pace; `None` if none is subscribed.
    #[must_use]
    pub fn fastest(&self) -> Option<Duration> {
        let cadence = |slot: &Slot| match &slot.0 {
            Seat::Taken(taken) => Some(taken.cadence),
            Seat::Leaving(_) | Seat::Left => None,
        };
        self.slots.iter().filter_map(cadence).min()
    }

    /// The event about a slot, if there is anything new.
    fn event(&mut self, index: usize) -> Option<Frame> {
        let slot = self.slots.get_mut(index)?;
        let taken = match &mut slot.0 {
            Seat::Left => return None,
            Seat::Leaving(reason) => {
                let reason = *reason;
                slot.0 = Seat::Left;
                self.anew |= reason == "anew";
                return Some(self.frame("gone", index, frames::reason(reason, None)));
            }
            Seat::Taken(taken) => taken,
        };
        // `current` has no counterpart in the plain view: after a `stale` the state itself says
        // that it holds again.
        let unsaid = self.view != View::Shim && taken.told == Told::Stale;
        let held = taken.held.filter(|_| !unsaid);
        match taken.topic.news(taken.id, (held, taken.told), taken.bound(), self.view) {
            News::Nothing => None,
            News::Gone => {
                slot.0 = Seat::Left;
                // Whoever ends a subscription says why before anybody sees that it has ended.
                let reason = self.mailbox.ended(index).unwrap_or("unwatchable");
                self.anew |= reason == "anew";
                Some(self.frame("gone", index, frames::reason(reason, None)))
            }
            News::Stale(stale) => {
                taken.told = Told::Stale;
                Some(self.frame("stale", index, frames::reason(stale.reason, stale.status)))
            }
            News::State(event, bytes, (hash, seq)) => {
                taken.told = Told::State(seq);
                taken.held = Some(hash);
                match (self.view, event) {
                    (View::Shim, _) => Some(self.frame(event, index, bytes)),
                    // The plain view has nothing to say of a state that the client holds: beats say
                    // it.
                    (_, "current") => None,
                    _ => {
                        Some(self.count(event, Frame { head: bytes::Bytes::new(), shared: bytes }))
                    }
                }
            }
        }
    }

    fn frame(&self, event: &'static str, index: usize, shared: bytes::Bytes) -> Frame {
        let frame = match self.view {
            View::Shim => frames::about(event, index, shared),
            View::Patch | View::Full => frames::plain(event, &shared),
        };
        self.count(event, frame)
    }

    fn count(&self, event: &'static str, frame: Frame) -> Frame {
        self.hub.metrics.push(event);
        self.hub.metrics.push_bytes(frame.len());
        frame
    }

    fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| matches!(slot.0, Seat::Left))
    }
}

impl Source for Subscriber {
    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        loop {
            if self.is_empty() {
                let retry = match self.anew {
                    true => self.hub.jitter(Duration::from_millis(500)),
                    false => Duration::from_secs(60),
                };
                return Poll::Ready(Signal::Bye(Bye { reason: "empty", retry }));
            }
            match std::task::ready!(self.mailbox.poll_take(cx)) {
                Mark::Bye(bye) => return Poll::Ready(Signal::Bye(bye)),
                Mark::Slot(index) => {
                    if let Some(frame) = self.event(index) {
                        return Poll::Ready(Signal::Frame(frame));
                    }
                }
            }
        }
    }

    fn pending(&self) -> usize {
        self.mailbox.pending()
    }

    fn leaving(&mut self, reason: &'static str) {
        self.hub.metrics.bye(reason);
    }

    fn audit(&mut self, now: Instant) {
        for (index, slot) in self.slots.iter().enumerate() {
            if let Seat::Taken(taken) = &slot.0 {
                let vouched = matches!(taken.told, Told::State(_));
                if vouched && taken.topic.is_overdue(taken.id, taken.held, taken.bound(), now) {
                    self.mailbox.mark(index);
                }
            }
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        for slot in &self.slots {
            if let Seat::Taken(taken) = &slot.0 {
                taken.topic.unsubscribe(&self.hub, taken.id);
            }
        }
        locked(&self.hub.streams).1.remove(&self.id);
        self.hub.open.fetch_sub(1, Ordering::Relaxed);
        self.hub.metrics.stream_closed();
    }
}
