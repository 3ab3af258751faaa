//! Asks the origin in one identity's name: for leases, and for what a second identity sees.
//!
//! Rule: beside the poller, never in its place. One identity whose requests hang must not hold up
//! what all others are told, so a few are asked at once, and each only once at a time.

use super::poller::is_healthy;
use super::{IdentityId, Outcome, Poller, Turn};
use crate::config::Watch;
use crate::drain::Drain;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Identities of one topic that are asked at once.
const AT_ONCE: usize = 4;

/// What a prover does next.
#[derive(Debug)]
pub enum Next {
    /// Ask in this name; the one who says so counts it as being asked until it is answered.
    Ask(Turn),
    /// Nothing before then, or before something changes.
    Wait(Option<Instant>),
}

/// Whoever knows whom to ask, and receives what they see.
pub trait Prover: Send + Sync + 'static {
    /// Whom to ask now.
    fn next(&self, now: Instant) -> Next;
    /// True if `by` may still be asked for: they may have left while the gate was closed.
    fn stands(&self, by: IdentityId) -> bool;
    /// A request in the name of `by` that began at `begun` found this; `None` if it was not made.
    fn proved(&self, by: IdentityId, begun: Instant, outcome: Option<Outcome>);
}

/// Steers a prover. Dropping it ends it, and abandons what is asked.
#[derive(Debug)]
pub struct ProofHandle {
    /// Rings when there may be somebody to ask.
    changed: Arc<Notify>,
    /// Ends the task.
    task: AbortHandle,
}

impl ProofHandle {
    /// Somebody may have to be asked.
    pub fn look(&self) {
        self.changed.notify_one();
    }
}

impl Drop for ProofHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Poller {
    /// Starts a prover over the poller's origin, budget and times.
    pub fn prove(
        self: &Arc<Self>,
        drain: &Drain,
        watch: Arc<Watch>,
        prover: Arc<dyn Prover>,
    ) -> ProofHandle {
        let changed = Arc::new(Notify::new());
        let task = drain.spawn(Arc::clone(self).run_proofs(watch, prover, Arc::clone(&changed)));
        ProofHandle { changed, task: task.abort_handle() }
    }

    async fn run_proofs(
        self: Arc<Self>,
        watch: Arc<Watch>,
        prover: Arc<dyn Prover>,
        changed: Arc<Notify>,
    ) {
        let mut asked = FuturesUnordered::new();
        loop {
            let mut until = None;
            while asked.len() < AT_ONCE {
                match prover.next(Instant::now()) {
                    Next::Ask(turn) => asked.push(self.ask(turn, &watch, prover.as_ref())),
                    Next::Wait(next) => {
                        until = next;
                        break;
                    }
                }
            }
            let far = Instant::now() + std::time::Duration::from_secs(3600);
            tokio::select! {
                Some((by, begun, outcome)) = asked.next(), if !asked.is_empty() => {
                    prover.proved(by, begun, outcome);
                }
                () = changed.notified() => {}
                () = tokio::time::sleep_until(until.unwrap_or(far)), if asked.len() < AT_ONCE => {}
            }
        }
    }

    async fn ask(
        &self,
        turn: Turn,
        watch: &Watch,
        prover: &dyn Prover,
    ) -> (IdentityId, Instant, Option<Outcome>) {
        let permit = self.gate.enter(&watch.name).await;
        let (by, begun) = (turn.by, Instant::now());
        if !prover.stands(by) {
            return (by, begun, None);
        }
        let outcome = self.poll(turn, watch, begun).await;
        drop(permit);
        self.gate.report(&watch.name, is_healthy(&outcome));
        (by, begun, Some(outcome))
    }
}
