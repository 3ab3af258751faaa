//! Watches that must not be shared any more.
//!
//! Rule: only an operator takes that back. A reload doesn't, nor does time.

use super::topic::{About, Effect};
use super::{Hub, Inner};
use crate::config::{Audience, Watch};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a watch was put back to `credential`, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demoted {
    /// `differs`, `unsteady`, `private` or `cookie`.
    pub reason: &'static str,
    /// Seconds since 1970.
    pub since: u64,
}

impl Demoted {
    /// What has been seen, and what to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.reason {
            "differs" => {
                "two users were shown different bytes again and again: write audience = \
                 \"credential\", or narrow the path, and then restore the watch"
            }
            "unsteady" => {
                "no two answers were equal: name what changes with every answer in `ignore`, or \
                 write audience = \"credential\", and then restore the watch"
            }
            "private" => {
                "an answer says Cache-Control: private: if all users get the same all the same, \
                 write share_private = true, and then restore the watch"
            }
            _ => {
                "an answer set a cookie that tells users apart: name those in identity.cookies, or \
                 write audience = \"credential\", and then restore the watch"
            }
        }
    }
}

impl Hub {
    /// Who may share this watch's topics now.
    #[must_use]
    pub fn audience(&self, watch: &Watch) -> Audience {
        self.0.audience(watch)
    }

    /// The watches that were put back to `credential`, by name.
    #[must_use]
    pub fn demoted(&self) -> Arc<BTreeMap<String, Demoted>> {
        self.0.demoted.load_full()
    }

    /// The rules have changed: every topic is made anew, by the new ones.
    pub fn renew(&self) {
        self.0.dissolve(|_| true);
    }

    /// The keys of a watch's topics have changed: they are made anew.
    pub fn rekey(&self, watch: &Watch) {
        self.0.act(watch, Effect::Rekey);
    }

    /// An operator says that a watch may be shared again. False if it wasn't demoted.
    pub fn restore(&self, watch: &str) -> bool {
        if !self.0.demoted.load().contains_key(watch) {
            return false;
        }
        self.0.demoted.rcu(|demoted| {
            let mut demoted = BTreeMap::clone(demoted);
            demoted.remove(watch);
            demoted
        });
        self.0.metrics.demoted(self.0.demoted.load().len());
        tracing::warn!(watch, "may be shared again: an operator says so");
        // Those who have topics of their own come back to the shared one.
        self.0.dissolve(|about| about.watch.name == watch);
        true
    }
}

impl Inner {
    /// Who may share this watch's topics now.
    pub(super) fn audience(&self, watch: &Watch) -> Audience {
        let wide = watch.audience != Audience::Credential;
        match wide && self.demoted.load().contains_key(&watch.name) {
            true => Audience::Credential,
            false => watch.audience,
        }
    }

    /// True for a topic that was meant to be shared by more than may share it now.
    pub(super) fn is_outdated(&self, about: &About) -> bool {
        about.audience > self.audience(&about.watch)
    }

    /// Does what concerns all topics of a watch. No lock may be held.
    pub(super) fn act(&self, watch: &Watch, effect: Effect) {
        match effect {
            Effect::Rekey => self.dissolve(|about| about.watch.name == watch.name),
            Effect::Demote(reason) => self.demote(watch, reason),
        }
    }

    fn demote(&self, watch: &Watch, reason: &'static str) {
        let since = crate::watch::unix_ms() / 1000;
        let entry = Demoted { reason, since };
        let known = self.demoted.rcu(|demoted| {
            let mut demoted = BTreeMap::clone(demoted);
            demoted.entry(watch.name.clone()).or_insert_with(|| entry.clone());
            demoted
        });
        let name = watch.name.as_str();
        self.dissolve(|about| about.watch.name == name && self.is_outdated(about));
        if !known.contains_key(name) {
            self.metrics.demotion(reason);
            self.metrics.demoted(self.demoted.load().len());
            tracing::error!(watch = name, reason, "no longer shared: {}", entry.advice());
        }
    }

    /// Ends topics: their subscribers come back for others.
    pub(super) fn dissolve(&self, which: impl Fn(&About) -> bool) {
        let mut topics = self.topics();
        topics.retain(|_, topic| {
            let ends = which(&topic.about);
            if ends {
                topic.dissolve(self);
            }
            !ends
        });
        self.metrics.topics(i64::try_from(topics.len()).unwrap_or(i64::MAX));
    }
}
