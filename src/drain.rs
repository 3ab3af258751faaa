//! Leaving: every task is tracked, so that the process can wait for it.

use std::future::Future;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;

/// Handle to the process's life: spawn tasks through it, and learn that it is time to leave.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    /// Knows every live task; leaving waits for it.
    tasks: TaskTracker,
    /// Cancelled once, when the process starts to leave.
    leaving: CancellationToken,
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

    /// Resolves when the process starts to leave. Cancel safe.
    pub fn leaving(&self) -> WaitForCancellationFuture<'_> {
        self.leaving.cancelled()
    }

    /// True once the process has started to leave.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }

    /// Tells every task to leave. Returns at once.
    pub fn leave(&self) {
        self.leaving.cancel();
        self.tasks.close();
    }

    /// Resolves when every tracked task has ended. Call [`Drain::leave`] first. Cancel safe.
    pub async fn left(&self) {
        self.tasks.wait().await;
    }
}
