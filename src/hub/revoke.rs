//! Ends what an identity subscribes to.

use super::topic::Topic;
use super::{Hub, Inner, Mailbox, locked};
use crate::watch::{IdentityId, TopicKey};
use std::sync::Arc;
use std::time::Duration;

/// Streams that were told something.
#[derive(Debug)]
pub struct Dismissed(Vec<Arc<Mailbox>>);

impl Hub {
    /// Ends all subscriptions of an identity, or of nobody at a place, for this reason. What the
    /// identity was shown doesn't count any more.
    pub fn dismiss(&self, identity: IdentityId, reason: &'static str) -> Dismissed {
        let term = self.0.settings.load().poll.reauthorize;
        self.0.revoked.note(identity, reason, term);
        let keys = self.0.members.of(identity);
        let topics: Vec<Arc<Topic>> = {
            let topics = self.0.topics();
            keys.iter().filter_map(|key| topics.get(key).map(Arc::clone)).collect()
        };
        if !topics.is_empty() {
            self.0.metrics.dismissal(reason);
        }
        let dismiss = |topic: &Arc<Topic>| topic.dismiss(&self.0, Some(identity), reason);
        Dismissed(topics.iter().flat_map(dismiss).collect())
    }
}

impl Inner {
    /// Nothing is ever asked for this topic, or in this name, again.
    pub(super) fn cast_out(&self, key: TopicKey) {
        const LEAST: usize = 1024;
        let most = self.settings.load().limits.topics.max(LEAST);
        let mut outcasts = locked(&self.outcasts);
        outcasts.push_back(key);
        let over = outcasts.len().saturating_sub(most);
        outcasts.drain(..over);
    }

    /// True if so.
    pub(super) fn is_outcast(&self, key: TopicKey) -> bool {
        locked(&self.outcasts).contains(&key)
    }
}

impl Dismissed {
    /// Waits until each stream has taken it, or for a moment: what the client is about to learn on
    /// another connection should not overtake it.
    pub async fn taken(self) {
        const STEP: Duration = Duration::from_millis(1);
        const STEPS: usize = 20;
        for _ in 0..STEPS {
            if self.0.iter().all(|mailbox| mailbox.pending() == 0) {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
    }
}
