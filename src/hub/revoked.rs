//! Whom the origin refused lately, or gave another name.
//!
//! Rule: what an identity was shown before that gives it nothing any more, whether or not it
//! subscribed then, and though the answer or the stream's request was still on its way.

use super::locked;
use crate::watch::IdentityId;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// As many are known one by one.
const MOST: usize = 65_536;
/// No request of theirs is on its way for longer.
const LEAST: Duration = Duration::from_secs(60);

/// When and why, by identity. The last lock to be taken, held for a lookup.
#[derive(Debug, Default)]
pub struct Revoked(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    since: HashMap<IdentityId, (Instant, &'static str)>,
    /// More than can be known one by one: until then, everybody.
    all: Option<Instant>,
}

impl Revoked {
    /// From now on, until no lease of the term `keep` can be from before.
    pub fn note(&self, identity: IdentityId, reason: &'static str, keep: Duration) {
        let (now, keep) = (Instant::now(), keep.max(LEAST));
        let mut known = locked(&self.0);
        if known.since.len() >= MOST {
            known.since.retain(|_, (at, _)| now.saturating_duration_since(*at) <= keep);
        }
        if known.since.len() >= MOST {
            known.since.clear();
            known.all = Some(now);
        }
        known.since.insert(identity, (now, reason));
    }

    /// Since when, and why.
    pub fn of(&self, identity: IdentityId) -> Option<(Instant, &'static str)> {
        let known = locked(&self.0);
        known.since.get(&identity).copied().or(known.all.map(|at| (at, "anew")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::watch::Keyer;
    use http::{HeaderValue, header};

    fn id(n: usize) -> IdentityId {
        let cookie = HeaderValue::try_from(format!("s={n}")).unwrap();
        let identity = Config::new(http::Uri::from_static("http://o")).identity;
        let headers = [(header::COOKIE, cookie)].into_iter().collect();
        Keyer::new([0; 32], identity).identify(&headers)
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_makes_nobody_forgotten() {
        let revoked = Revoked::default();
        revoked.note(id(0), "refused", Duration::ZERO);
        let first = revoked.of(id(0));
        assert_eq!(first.map(|(_, reason)| reason), Some("refused"));
        assert_eq!(revoked.of(id(1)), None);
        for n in 1..=MOST {
            revoked.note(id(n), "refused", Duration::ZERO);
        }
        let since = |known: Option<(Instant, _)>| known.map(|(since, _)| since);
        assert!(since(revoked.of(id(0))) >= since(first));
        assert!(locked(&revoked.0).since.len() <= MOST);
        tokio::time::sleep(2 * LEAST).await;
        for n in 0..MOST {
            revoked.note(id(n), "refused", Duration::ZERO);
        }
        assert!(locked(&revoked.0).since.len() <= MOST);
    }
}
