//! A time in which something must move. Cheap where it does: a timer is set when something first
//! doesn't, and looked at again only when it has run out.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// See the module. It runs out between once and twice the limit after the last move.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    /// Made on demand: most connections never wait for so long.
    sleep: Option<Pin<Box<Sleep>>>,
    /// True if something has moved since the timer was set.
    moved: bool,
}

impl Deadline {
    /// Something has moved.
    pub(super) fn moved(&mut self) {
        self.moved = true;
    }

    /// Nothing moves at present; ready once that has lasted for `limit`.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let sleep = match &mut self.sleep {
            Some(sleep) => sleep,
            unset => {
                self.moved = false;
                unset.insert(Box::pin(tokio::time::sleep(limit)))
            }
        };
        loop {
            ready!(sleep.as_mut().poll(cx));
            if !std::mem::take(&mut self.moved) {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(Instant::now() + limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_move_gives_time_and_silence_takes_it() {
        let start = Instant::now();
        let mut deadline = Deadline::default();
        for _ in 0..4 {
            let over = poll_fn(|cx| deadline.poll_over(cx, LIMIT));
            assert!(tokio::time::timeout(Duration::from_secs(6), over).await.is_err());
            deadline.moved();
        }
        poll_fn(|cx| deadline.poll_over(cx, LIMIT)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(40));
    }
}
