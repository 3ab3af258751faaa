//! The origin-wide budget of central polls: rate, concurrency; and the watches' circuit breakers.

use super::breaker::{Breakers, Entry};
use crate::config::Poll;
use crate::telemetry::Metrics;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// tokio's pausable clock, for governor: its own ignores paused time.
#[derive(Clone, Debug)]
struct TokioClock;

/// An instant of [`TokioClock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Instant);

impl Clock for TokioClock {
    type Instant = Moment;
    fn now(&self) -> Moment {
        Moment(Instant::now())
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_duration_since(earlier.0).into()
    }
    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

impl std::ops::Add<Nanos> for Moment {
    type Output = Self;
    fn add(self, other: Nanos) -> Self {
        Self(self.0 + Duration::from(other))
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Moment>>;

/// Every central poll of one origin passes here.
pub struct Gate {
    /// Polls per second; a burst of one second's worth.
    rate: Limiter,
    /// Polls at once.
    slots: Semaphore,
    /// Held for a few instructions, never across an await.
    breakers: Mutex<Breakers>,
    /// Whoever waits for a probe's turn needn't any more.
    closed: Notify,
    /// Says when the budget held something back.
    metrics: Metrics,
}

impl Gate {
    /// A gate with the budget of `poll`.
    #[must_use]
    pub fn new(poll: &Poll, metrics: Metrics) -> Self {
        let per_second = NonZeroU32::new(poll.rate).unwrap_or(NonZeroU32::MIN);
        Self {
            rate: RateLimiter::direct_with_clock(Quota::per_second(per_second), TokioClock),
            slots: Semaphore::new(poll.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
            breakers: Mutex::new(Breakers::new(poll.breaker_failures)),
            closed: Notify::new(),
            metrics,
        }
    }

    /// Waits until a poll of this watch may start; the permit is its slot. Cancel safe. `None`
    /// never happens while the gate lives.
    pub async fn enter(&self, watch: &str) -> Option<SemaphorePermit<'_>> {
        loop {
            let mut closed = pin!(self.closed.notified());
            // Before the look: it may close between the two.
            closed.as_mut().enable();
            let entry = self.locked(|breakers| breakers.enter(watch, Instant::now()));
            if let Entry::Wait(until) = entry {
                // Without a slot: a watch that fails would keep the others from theirs.
                let _ = tokio::time::timeout_at(until, closed).await;
                continue;
            }
            let permit = self.slot().await?;
            let opened = || self.locked(|breakers| breakers.is_open(watch));
            if entry == Entry::Go && opened() {
                continue;
            }
            while let Err(not_until) = self.rate.check() {
                self.metrics.limit("poll_rate");
                tokio::time::sleep(not_until.wait_time_from(TokioClock.now())).await;
            }
            return Some(permit);
        }
    }

    async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.slots.try_acquire() {
            return Some(permit);
        }
        self.metrics.limit("poll_concurrency");
        self.slots.acquire().await.ok()
    }

    /// A poll of this watch ended: `healthy` says whether the origin is well (any answer below
    /// 500).
    pub fn report(&self, watch: &str, healthy: bool) {
        let turned = self.locked(|breakers| breakers.report(watch, healthy, Instant::now()));
        if turned && healthy {
            self.closed.notify_waiters();
            tracing::info!(watch, "the origin answers again: central polls of this watch go on");
        } else if turned {
            tracing::warn!(
                watch,
                "the origin keeps failing: central polls of this watch wait, pages poll for \
                 themselves"
            );
        }
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Breakers) -> T) -> T {
        act(&mut self.breakers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_go_on_once_the_origin_answers_again() {
        let gate = Gate::new(&Poll { breaker_failures: 1, ..Poll::default() }, Metrics::new());
        gate.report("a", false);
        let start = Instant::now();
        let probe = || async {
            drop(gate.enter("a").await);
            gate.report("a", true);
        };
        tokio::join!(probe(), probe(), probe());
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_waits_takes_no_slot_from_another() {
        let poll = Poll { breaker_failures: 1, concurrency: 1, ..Poll::default() };
        let gate = Gate::new(&poll, Metrics::new());
        let start = Instant::now();
        let running = gate.enter("broken").await;
        let broken = || async {
            drop(gate.enter("broken").await);
            start.elapsed()
        };
        let well = async {
            // The others wait for the slot, and then, without it, for the breaker.
            tokio::task::yield_now().await;
            gate.report("broken", false);
            drop(running);
            drop(gate.enter("well").await);
            start.elapsed()
        };
        let (one, other, well) = tokio::join!(broken(), broken(), well);
        assert_eq!(well, Duration::ZERO);
        assert_eq!(one.min(other), Duration::from_secs(1));
        assert_eq!(one.max(other), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn holds_the_rate_on_paused_time() {
        let gate = Gate::new(&Poll { rate: 10, ..Poll::default() }, Metrics::new());
        let start = Instant::now();
        for _ in 0..30 {
            drop(gate.enter("a").await);
        }
        let took = start.elapsed();
        assert!(
            took >= Duration::from_millis(1900) && took <= Duration::from_millis(2100),
            "{took:?}"
        );
    }
}
