//! How long nothing has moved.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Notices when somebody has waited too long. What moves costs no timer: one is armed by the first
/// wait, and looked at again only when it fires.
#[derive(Debug)]
pub struct Silence {
    /// Longest wait.
    limit: Duration,
    /// Since when there is a wait.
    since: Option<Instant>,
    /// Fires at the end of some wait, perhaps of one that is over.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    /// Over after so long a wait.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, since: None, timer: None }
    }

    /// Something moved.
    pub fn broken(&mut self) {
        self.since = None;
    }

    /// Nothing moves at present. Ready once that has lasted for too long; else the task is woken
    /// when it will have.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The wait begins when somebody begins to wait: while a slow reader takes its time, nobody
        // does.
        let since = *self.since.get_or_insert_with(Instant::now);
        let deadline = since + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        while timer.as_mut().poll(cx) == Poll::Ready(()) {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
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
            let some =
                tokio::time::timeout(Duration::from_secs(6), poll_fn(|cx| silence.poll_over(cx)));
            assert!(some.await.is_err());
            silence.broken();
        }
        // Nobody waits here.
        tokio::time::sleep(Duration::from_secs(60)).await;
        poll_fn(|cx| silence.poll_over(cx)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(18 + 60 + 10));
    }
}
