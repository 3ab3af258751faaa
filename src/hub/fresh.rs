//! States that answer requests at once.

use super::{Hub, IdentityId, Position, Snapshot, TopicKey, locked};
use std::sync::Arc;
use tokio::time::Instant;

impl Hub {
    /// The state, if it may answer a request of this identity that came now: verified within
    /// `collapse_max_age`, after the last hint that touches the topic, after the identity's last
    /// write, and after the origin last refused it.
    #[must_use]
    pub fn fresh(&self, key: TopicKey, identity: IdentityId) -> Option<(Arc<Snapshot>, Position)> {
        let topic = self.0.topics().get(&key).map(Arc::clone)?;
        let oldest = Instant::now().checked_sub(self.0.settings.load().poll.collapse_max_age)?;
        let wrote = locked(&self.0.wrote).get(&identity).copied();
        let revoked = self.0.revoked.of(identity).map(|(since, _)| since);
        let oldest = [wrote, revoked].into_iter().flatten().fold(oldest, Instant::max);
        topic.fresh(&self.0, identity, oldest)
    }

    /// A write by this identity came back: what it reads from now on includes the write.
    pub fn wrote(&self, identity: IdentityId) {
        const ENOUGH: usize = 1024;
        let now = Instant::now();
        let max_age = self.0.settings.load().poll.collapse_max_age;
        let mut wrote = locked(&self.0.wrote);
        if wrote.len() >= ENOUGH {
            wrote.retain(|_, at| now.saturating_duration_since(*at) <= max_age);
        }
        wrote.insert(identity, now);
    }
}
