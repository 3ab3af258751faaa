//! Ends streams, and forgets topics.

use super::{Hub, locked};
use crate::stream::Bye;
use std::sync::Weak;
use std::time::Duration;
use tokio::time::Instant;

impl Hub {
    /// Ends every stream. Clients come back after `retry`, spread from half to one and a half of
    /// it.
    pub fn bye(&self, reason: &'static str, retry: Duration) {
        let mailboxes: Vec<_> =
            locked(&self.0.streams).1.values().filter_map(Weak::upgrade).collect();
        for mailbox in mailboxes {
            mailbox.bye(Bye { reason, retry: self.jitter(retry) });
        }
    }

    /// Ends every stream that is open now, each at a moment of its own within `window`, so that
    /// their clients don't all knock elsewhere at once. Until then it is served as ever. Clients
    /// come back as [`Hub::bye`] has it.
    pub async fn part(&self, reason: &'static str, retry: Duration, window: Duration) {
        let start = Instant::now();
        let mut moments: Vec<_> = {
            let mut random = locked(&self.0.random);
            let streams = locked(&self.0.streams);
            let moment = |mailbox: &Weak<_>| (window.mul_f64(random.f64()), Weak::clone(mailbox));
            streams.1.values().map(moment).collect()
        };
        moments.sort_by_key(|(moment, _)| *moment);
        for (moment, mailbox) in moments {
            if start.elapsed() < moment {
                tokio::time::sleep_until(start + moment).await;
            }
            if let Some(mailbox) = mailbox.upgrade() {
                mailbox.bye(Bye { reason, retry: self.jitter(retry) });
            }
        }
    }

    /// A duration from half to one and a half of the given one.
    #[must_use]
    pub fn jitter(&self, around: Duration) -> Duration {
        self.0.jitter(around)
    }

    /// Forgets topics that nobody has subscribed to for `poll.linger`. Never returns; run it as a
    /// task.
    pub async fn sweep(self) {
        loop {
            let linger = self.0.settings.load().poll.linger;
            tokio::time::sleep(linger.clamp(Duration::from_millis(100), Duration::from_secs(5)))
                .await;
            self.0.forget_idle(&mut self.0.topics(), linger, false);
        }
    }
}
