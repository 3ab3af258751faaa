//! Leaving: every task is tracked, so that the process can wait for it.
//!
//! It goes in steps, each a token that tasks wait for: nothing new is let in ([`Drain::leaving`]);
//! what has no end of its own ends, each at a moment of its own ([`Drain::parting`]); what is idle
//! is closed ([`Drain::closing`]). The last comes late on purpose: a request may be on its way on a
//! connection that looks idle from here.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// Handle to the process's life: spawn tasks through it, and learn that it is time to leave.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// Knows every live task; leaving waits for it.
    tasks: TaskTracker,
    /// Cancelled once, when the process starts to leave.
    leaving: CancellationToken,
    /// Cancelled once, when what is idle has had its last chance.
    closing: CancellationToken,
    /// Time over which partings are spread; set once, when the process starts to leave. Says so
    /// without a lock, since every answer asks.
    window: Arc<OnceLock<Duration>>,
}

impl Drain {
    /// A fresh handle; clones share it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task that leaving waits for.
    #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.tasks.track_future(task))
    }

    /// Number of live tasks.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Resolves when the process starts to leave. Cancel safe.
    pub fn leaving(&self) -> WaitForCancellationFuture<'_> {
        self.leaving.cancelled()
    }

    /// True once the process has started to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.window.get().is_some()
    }

    /// Resolves when the process leaves and the caller's turn has come: each call draws its own
    /// moment, so that not all clients come back elsewhere at once.
    pub async fn parting(&self) {
        self.leaving().await;
        let window = self.window.get().copied().unwrap_or_default();
        tokio::time::sleep(window.mul_f64(fastrand::f64())).await;
    }

    /// Resolves when what is idle is to close. Cancel safe.
    pub fn closing(&self) -> WaitForCancellationFuture<'_> {
        self.closing.cancelled()
    }

    /// Tells every task to leave, and to do so now. Returns at once.
    pub fn leave(&self) {
        self.refuse(Duration::ZERO);
        self.close();
    }

    /// First step: nothing new is let in, and partings are spread over `window`. Returns at once.
    pub fn refuse(&self, window: Duration) {
        // The first word counts: a task may have drawn its moment already.
        self.window.get_or_init(|| window);
        self.leaving.cancel();
        self.tasks.close();
    }

    /// Last step: what is idle closes. Returns at once.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Resolves when every tracked task has ended. Call [`Drain::leave`] or [`Drain::refuse`]
    /// first. Cancel safe.
    pub async fn left(&self) {
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn partings_are_spread_over_the_window_and_the_rest_waits_for_its_step() {
        let drain = Drain::new();
        let (start, window) = (Instant::now(), Duration::from_secs(10));
        let parts: Vec<_> = (0..200)
            .map(|_| {
                let drain = drain.clone();
                drain.clone().spawn(async move {
                    drain.parting().await;
                    start.elapsed()
                })
            })
            .collect();
        let idle = drain.clone();
        let idle = drain.spawn(async move { idle.closing().await });
        drain.refuse(window);
        let mut moments = Vec::new();
        for part in parts {
            moments.push(part.await.unwrap());
        }
        moments.sort();
        assert!(moments[0] < window / 5 && moments[199] > window * 4 / 5, "{moments:?}");
        // A timer fires up to a millisecond late.
        assert!(moments[199] <= window + Duration::from_millis(1));
        assert!(drain.is_leaving() && !idle.is_finished());
        assert_eq!(drain.tasks(), 1);
        drain.close();
        drain.left().await;
    }

    #[tokio::test(start_paused = true)]
    async fn told_to_leave_now_nobody_waits() {
        let drain = Drain::new();
        let start = Instant::now();
        let (part, idle) = (drain.clone(), drain.clone());
        drain.spawn(async move { part.parting().await });
        drain.spawn(async move { idle.closing().await });
        drain.leave();
        drain.left().await;
        assert!(start.elapsed() <= Duration::from_millis(1));
    }
}
