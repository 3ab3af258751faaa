//! Which topics each identity subscribes to, so that all of them can be ended at once.

use super::locked;
use crate::watch::{IdentityId, TopicKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

/// By identity, the topics and the number of subscriptions to each. The last lock to be taken, held
/// for a lookup.
#[derive(Debug, Default)]
pub struct Members(Mutex<HashMap<IdentityId, BTreeMap<TopicKey, usize>>>);

impl Members {
    /// One more subscription.
    pub fn join(&self, identity: IdentityId, key: TopicKey) {
        *locked(&self.0).entry(identity).or_default().entry(key).or_insert(0) += 1;
    }

    /// One fewer.
    pub fn leave(&self, identity: IdentityId, key: TopicKey) {
        let mut members = locked(&self.0);
        let Some(topics) = members.get_mut(&identity) else { return };
        if let Some(count) = topics.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                topics.remove(&key);
            }
        }
        if topics.is_empty() {
            members.remove(&identity);
        }
    }

    /// What an identity subscribes to.
    pub fn of(&self, identity: IdentityId) -> Vec<TopicKey> {
        locked(&self.0)
            .get(&identity)
            .map(|topics| topics.keys().copied().collect())
            .unwrap_or_default()
    }
}
