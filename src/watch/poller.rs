//! The poller of one topic.
//!
//! Rule: at most one poll runs and at most one is scheduled. A hint that arrives while a poll runs
//! schedules another, because the running one may have read before the write. A poll answers every
//! hint that came before it began.

use super::{
    Gate, IdentityId, Keyer, PollRequest, Refusal, Snapshot, Validator, answer, decode, unix_ms,
};
use crate::config::{Poll, Watch};
use crate::drain::Drain;
use crate::upstream::{Ask, Origin, PollError};
use http::{StatusCode, header};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Hints within this time of the first cost one poll.
const COALESCE: Duration = Duration::from_millis(20);

/// What a central poll found.
#[derive(Debug)]
pub enum Outcome {
    /// A 200 that can be pushed.
    State(Snapshot),
    /// 304: the state is the one of this validator.
    NotModified(Validator),
    /// An answer that can't be pushed.
    Refused(Refusal),
    /// No answer.
    Failed(PollError),
}

/// What the receiver made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A new state.
    Changed,
    /// The state is still the same.
    Same,
    /// The topic has no state now.
    Stale,
    /// It began before what is known already: dropped.
    Older,
    /// Nothing can be said: ask again at once.
    Unclear,
    /// The topic can't be pushed: another poll in this user's name could end their session.
    Over,
}

/// Whose request a poll repeats.
#[derive(Debug)]
pub struct Turn {
    /// Theirs.
    pub by: IdentityId,
    /// What to send.
    pub request: PollRequest,
    /// Of the state that they were shown, if that is the present one: for a conditional poll.
    pub validator: Option<Validator>,
}

/// Whoever says what a poller asks, and receives what it finds.
pub trait Sink: Send + Sync + 'static {
    /// Whose request a poll sends that begins now; `None` if there is nobody to ask for, until
    /// [`PollHandle::observed`] says otherwise.
    fn turn(&self) -> Option<Turn>;
    /// A poll for `by` that began at `begun` found this.
    fn observed(&self, by: IdentityId, begun: Instant, outcome: Outcome) -> Seen;
}

/// What a poller works with; shared by all pollers of one origin.
pub struct Poller {
    /// Who is asked.
    pub origin: Arc<dyn Origin>,
    /// Budget and breakers.
    pub gate: Arc<Gate>,
    /// Times.
    pub times: Poll,
    /// Longest body, in bytes.
    pub body_limit: usize,
    /// Reads answers.
    pub keyer: Arc<Keyer>,
}

/// Steers a poller. Dropping it ends the poller, even in mid-poll.
pub struct PollHandle {
    /// What the poller is told.
    orders: Arc<Orders>,
    /// Ends the task.
    task: AbortHandle,
}

/// What a poller is told. The lock is held for a few instructions, never across an await.
struct Orders {
    /// See [`Plan`].
    plan: Mutex<Plan>,
    /// Rings when the plan changes, so that a sleeping poller looks again.
    changed: Notify,
}

/// When to poll next.
struct Plan {
    /// How often the fastest subscriber's app polls.
    cadence: Duration,
    /// First hint that no poll has answered yet.
    hinted: Option<Instant>,
    /// When the newest poll or passing answer began; `None` before the first.
    last: Option<Instant>,
    /// Looks still to take after a hinted poll that found nothing: due at, and index of the next.
    settle: Option<(Instant, usize)>,
    /// Failures in a row: the next poll waits longer.
    failures: u32,
}

impl Plan {
    fn due(&self, now: Instant) -> Instant {
        let Some(last) = self.last else { return now };
        let pause = self.cadence * 2_u32.pow(self.failures.min(4));
        let mut due = last + pause;
        if let Some((at, _)) = self.settle {
            due = due.min(at);
        }
        if let Some(hinted) = self.hinted {
            due = due.min(hinted + COALESCE);
        }
        due
    }
}

impl PollHandle {
    /// A write or another signal: poll soon.
    pub fn hint(&self, now: Instant) {
        let mut plan = self.orders.lock();
        plan.settle = None;
        plan.hinted.get_or_insert(now);
        drop(plan);
        self.orders.changed.notify_one();
    }

    /// The fastest subscriber polls this often.
    pub fn cadence(&self, cadence: Duration) {
        self.orders.lock().cadence = cadence;
        self.orders.changed.notify_one();
    }

    /// A passing answer, whose request began then, was as good as a poll.
    pub fn observed(&self, begun: Instant) {
        let mut plan = self.orders.lock();
        plan.last = plan.last.max(Some(begun));
        plan.failures = 0;
        plan.hinted = plan.hinted.filter(|hinted| *hinted > begun);
        drop(plan);
        self.orders.changed.notify_one();
    }
}

impl Drop for PollHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Orders {
    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Poller {
    /// Starts polling at once, or, if `last` says when the newest observation began, one cadence
    /// after it.
    pub fn start(
        self: &Arc<Self>,
        drain: &Drain,
        (cadence, last): (Duration, Option<Instant>),
        watch: Arc<Watch>,
        sink: Arc<dyn Sink>,
    ) -> PollHandle {
        let plan = Plan { cadence, hinted: None, last, settle: None, failures: 0 };
        let orders = Arc::new(Orders { plan: Mutex::new(plan), changed: Notify::new() });
        let task = drain.spawn(Arc::clone(self).run(Arc::clone(&orders), watch, sink));
        PollHandle { orders, task: task.abort_handle() }
    }

    async fn run(self: Arc<Self>, orders: Arc<Orders>, watch: Arc<Watch>, sink: Arc<dyn Sink>) {
        loop {
            wait_until_due(&orders).await;
            if sink.turn().is_none() {
                orders.changed.notified().await;
                continue;
            }
            let Some(permit) = self.gate.enter(&watch.name).await else { return };
            // Again: while the gate was closed they may have left.
            let Some(mut turn) = sink.turn() else { continue };
            let begun = Instant::now();
            let settling = begin(&orders, begun);
            if settling.is_some() {
                // Something has changed, maybe within what a weak tag can tell apart.
                turn.validator = turn.validator.filter(|validator| !validator.is_weak());
            }
            let by = turn.by;
            let outcome = self.poll(turn, &watch, begun).await;
            drop(permit);
            self.gate.report(&watch.name, is_healthy(&outcome));
            let seen = sink.observed(by, begun, outcome);
            if seen == Seen::Over {
                // Aborting this task takes effect only where it waits: a poll that is due already
                // would still go out.
                return;
            }
            self.finish(&orders, settling, seen);
        }
    }

    /// Asks once.
    pub(super) async fn poll(&self, turn: Turn, watch: &Watch, begun: Instant) -> Outcome {
        let Turn { request, validator, .. } = turn;
        let mut headers = request.headers();
        let sent = headers.clone();
        match &validator {
            Some(Validator::Tag(tag)) => headers.insert(header::IF_NONE_MATCH, tag.clone()),
            Some(Validator::Date(date)) => headers.insert(header::IF_MODIFIED_SINCE, date.clone()),
            None => None,
        };
        let ask = Ask { target: request.target(&self.keyer, unix_ms()), headers };
        let timeout = tokio::time::timeout(self.times.timeout, self.origin.poll(ask));
        let answer = match timeout.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Outcome::Failed(error),
            Err(_) => return Outcome::Failed(PollError::Timeout),
        };
        if let (StatusCode::NOT_MODIFIED, Some(validator)) = (answer.status, validator) {
            if self.keyer.changes_identity(&sent, &answer.headers) {
                // As good as the 200 that it stands for.
                return Outcome::Refused(Refusal::Identity(StatusCode::OK));
            }
            return Outcome::NotModified(validator);
        }
        let Some(body) = decode(&answer.headers, answer.body, self.body_limit).await else {
            return Outcome::Failed(PollError::TooLong);
        };
        let parts = (answer.status, &answer.headers, body.as_ref());
        match answer::read(&self.keyer, watch, &sent, parts, begun) {
            Ok(snapshot) => Outcome::State(snapshot),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn finish(&self, orders: &Orders, settling: Option<usize>, seen: Seen) {
        let mut plan = orders.lock();
        let now = Instant::now();
        match seen {
            Seen::Stale => plan.failures = plan.failures.saturating_add(1),
            Seen::Changed | Seen::Same => plan.failures = 0,
            Seen::Unclear => {
                plan.hinted.get_or_insert(now);
            }
            Seen::Older | Seen::Over => {}
        }
        // Replicas and jobs lag behind the write that hinted: look again.
        plan.settle = match (seen, settling) {
            (Seen::Same, Some(next)) => self.times.settle.get(next).map(|d| (now + *d, next)),
            _ => None,
        };
    }
}

/// Notes that a poll begins now. The number is the settle look that follows if it
/// finds nothing.
fn begin(orders: &Orders, begun: Instant) -> Option<usize> {
    let mut plan = orders.lock();
    let hinted = plan.hinted.take().is_some();
    let settle = plan.settle.take();
    plan.last = Some(begun);
    match settle {
        _ if hinted => Some(0),
        Some((at, index)) if at <= begun => Some(index + 1),
        _ => None,
    }
}

async fn wait_until_due(orders: &Orders) {
    loop {
        let due = orders.lock().due(Instant::now());
        tokio::select! {
            () = tokio::time::sleep_until(due) => {
                // The plan may have moved while we slept, by a passing answer: look again.
                let now = Instant::now();
                if orders.lock().due(now) <= now {
                    return;
                }
            }
            () = orders.changed.notified() => {}
        }
    }
}

/// True if the origin itself is well, whatever it thinks of this one request.
pub(super) fn is_healthy(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused(Refusal::Status(status)) => !status.is_server_error(),
        Outcome::Failed(PollError::Timeout | PollError::Io(_)) => false,
        Outcome::State(_)
        | Outcome::NotModified(_)
        | Outcome::Refused(_)
        | Outcome::Failed(PollError::TooLong) => true,
    }
}

#[cfg(test)]
mod tests;
