//! Refusals that are no news: some paths answer 401 to a visitor each time they are asked
//! (`/api/me` before a login), and say nothing of what else that visitor may see.

use crate::watch::IdentityId;
use http::Method;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A refusal longer ago says nothing: whoever is refused then may have been let in meanwhile, on
/// another path.
const FRESH: Duration = Duration::from_secs(120);
/// So many are known; beyond that all are forgotten, and each refusal is news.
const MOST: usize = 16_384;

/// Method and path, as far as two of them must be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(u64);

/// Who was refused where, by the last answer there.
#[derive(Debug, Default)]
pub struct Habits {
    hasher: RandomState,
    /// False as long as there are none: most sites never refuse.
    any: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    refused: HashMap<Place, HashMap<IdentityId, Instant>>,
    count: usize,
}

impl Habits {
    /// Names a method and a path.
    pub fn place(&self, method: &Method, path: &str) -> Place {
        Place(self.hasher.hash_one((method, path)))
    }

    /// Notes a refusal; true if the same was the last answer there, not long ago.
    pub fn refused(&self, place: Place, identity: IdentityId) -> bool {
        let now = Instant::now();
        let mut known = self.locked();
        if known.count >= MOST {
            *known = Known::default();
        }
        self.any.store(true, Ordering::Relaxed);
        let before = known.refused.entry(place).or_default().insert(identity, now);
        known.count += usize::from(before.is_none());
        before.is_some_and(|before| now.saturating_duration_since(before) < FRESH)
    }

    /// Any other answer: the next refusal there is news. `identity` is asked for only if it
    /// matters.
    pub fn served(&self, place: Place, identity: impl FnOnce() -> IdentityId) {
        if !self.any.load(Ordering::Relaxed) || !self.locked().refused.contains_key(&place) {
            return;
        }
        let identity = identity();
        let mut known = self.locked();
        let Known { refused, count } = &mut *known;
        if let Some(there) = refused.get_mut(&place) {
            *count -= usize::from(there.remove(&identity).is_some());
            if there.is_empty() {
                refused.remove(&place);
            }
        }
    }

    /// Held for a lookup.
    fn locked(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::watch::Keyer;
    use http::{HeaderMap, HeaderValue, header};

    fn id(n: usize) -> IdentityId {
        let cookie = HeaderValue::try_from(format!("s={n}")).unwrap();
        let headers: HeaderMap = [(header::COOKIE, cookie)].into_iter().collect();
        Keyer::new([0; 32], Config::new(http::Uri::from_static("http://o")).identity)
            .identify(&headers)
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_same_answer_to_the_same_visitor_not_long_ago_is_no_news() {
        let habits = Habits::default();
        let me = habits.place(&Method::GET, "/me");
        assert!(!habits.refused(me, id(1)));
        assert!(habits.refused(me, id(1)));
        assert!(!habits.refused(me, id(2)));
        assert!(!habits.refused(habits.place(&Method::POST, "/me"), id(1)));
        assert!(!habits.refused(habits.place(&Method::GET, "/you"), id(1)));
        habits.served(me, || id(1));
        assert!(!habits.refused(me, id(1)));
        assert!(habits.refused(me, id(2)));
        tokio::time::sleep(FRESH).await;
        assert!(!habits.refused(me, id(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_makes_all_refusals_news() {
        let habits = Habits::default();
        let me = habits.place(&Method::GET, "/me");
        for n in 0..=MOST {
            assert!(!habits.refused(me, id(n)));
        }
        assert_eq!(habits.locked().count, 1);
        assert!(!habits.refused(me, id(0)));
    }
}
