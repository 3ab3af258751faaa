//! How long nothing has come.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Notices when somebody has waited too long. What moves costs no timer: one is armed by the first
/// wait, and looked at again only when it fires.
pub(super) struct Silence {
    /// Longest wait.
    limit: Duration,
    /// Since when there is a wait.
    since: Option<Instant>,
    /// Fires at the end of some wait, perhaps of one that is over.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, since: None, timer: None }
    }

    /// Something came.
    pub(super) fn broken(&mut self) {
        self.since = None;
    }

    /// Nothing came. True if it has been so for too long; else the task is woken when it will be.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        // The wait begins when somebody begins to wait: while a slow reader takes its time, nobody
        // does.
        let since = *self.since.get_or_insert_with(Instant::now);
        let deadline = since + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while timer.as_mut().poll(cx) == Poll::Ready(()) {
            if Instant::now() >= deadline {
                return true;
            }
            timer.as_mut().reset(deadline);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn only_one_long_wait_counts() {
        let start = Instant::now();
        let mut silence = Silence::new(Duration::from_secs(10));
        for _ in 0..3 {
            let some = tokio::time::timeout(
                Duration::from_secs(6),
                poll_fn(|cx| if silence.is_over(cx) { Poll::Ready(()) } else { Poll::Pending }),
            );
            assert!(some.await.is_err());
            silence.broken();
        }
        // Nobody waits here.
        tokio::time::sleep(Duration::from_secs(60)).await;
        poll_fn(|cx| if silence.is_over(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
        assert_eq!(start.elapsed(), Duration::from_secs(18 + 60 + 10));
    }
}
