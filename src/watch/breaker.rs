//! Circuit breakers of the origin, one for each watch: after several failures in a row, central
//! polls of that watch wait, and one at a time probes. One for all would let a single broken
//! endpoint hold up what is well.
//!
//! States: closed → (failures) → open until an instant → (that instant) → one probe → closed, or
//! open for twice as long. Pure: the instant is an argument.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// First and longest time that polls wait.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// What a poll that wants to start should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Start.
    Go,
    /// Start: all others wait for what it finds.
    Probe,
    /// Wait until then, and ask again.
    Wait(Instant),
}

/// The breakers of all watches.
#[derive(Debug)]
pub struct Breakers {
    /// Failures in a row that open one.
    threshold: u32,
    /// By the watch's name; of those that have failed.
    all: BTreeMap<String, Breaker>,
}

/// One watch's breaker.
#[derive(Debug)]
struct Breaker {
    /// Failures in a row so far.
    failures: u32,
    /// Open until then; `None` is closed.
    open_until: Option<Instant>,
    /// How long it was last opened for.
    pause: Duration,
    /// A probe is under way.
    probing: bool,
}

impl Breakers {
    /// All closed. `threshold` is at least 1.
    pub fn new(threshold: u32) -> Self {
        Self { threshold: threshold.max(1), all: BTreeMap::new() }
    }

    /// A poll of this watch wants to start. The first to ask after the pause is the probe; the
    /// others wait for as long again.
    pub fn enter(&mut self, watch: &str, now: Instant) -> Entry {
        let breaker = self.all.get_mut(watch);
        let Some((breaker, until)) = breaker.and_then(|b| b.open_until.map(|until| (b, until)))
        else {
            return Entry::Go;
        };
        if now < until {
            return Entry::Wait(until);
        }
        breaker.open_until = Some(now + breaker.pause);
        breaker.probing = true;
        Entry::Probe
    }

    /// A poll of this watch ended. Returns true if that opened or closed its breaker.
    pub fn report(&mut self, watch: &str, healthy: bool, now: Instant) -> bool {
        if !healthy {
            if !self.all.contains_key(watch) {
                self.all.insert(watch.to_owned(), Breaker::new());
            }
            let breaker = self.all.get_mut(watch);
            return breaker.is_some_and(|breaker| breaker.fail(self.threshold, now));
        }
        let was_open = self.all.remove(watch).is_some_and(|breaker| breaker.open_until.is_some());
        if was_open {
            // The origin may have come back as a whole: the others needn't sit out their pauses.
            for until in self.all.values_mut().filter_map(|other| other.open_until.as_mut()) {
                *until = (*until).min(now);
            }
        }
        was_open
    }

    /// True while polls of this watch wait.
    pub fn is_open(&self, watch: &str) -> bool {
        self.all.get(watch).is_some_and(|breaker| breaker.open_until.is_some())
    }
}

impl Breaker {
    fn new() -> Self {
        Self { failures: 0, open_until: None, pause: FIRST, probing: false }
    }

    /// True if that opened it.
    fn fail(&mut self, threshold: u32, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opened = self.open_until.is_none();
        if opened && self.failures < threshold {
            return false;
        }
        if !opened {
            // Polls that began before it opened say nothing new: only a probe does.
            if !std::mem::take(&mut self.probing) {
                return false;
            }
            self.pause = (self.pause * 2).min(LONGEST);
        }
        self.open_until = Some(now + self.pause);
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_probes_and_closes_by_itself() {
        let (mut breakers, now) = (Breakers::new(2), Instant::now());
        assert!(!breakers.report("a", false, now));
        assert_eq!(breakers.enter("a", now), Entry::Go);
        assert!(breakers.report("a", false, now));
        assert_eq!(breakers.enter("a", now), Entry::Wait(now + FIRST));
        // Was under way when it opened.
        assert!(!breakers.report("a", false, now));
        assert_eq!(breakers.enter("a", now), Entry::Wait(now + FIRST));
        let later = now + FIRST;
        assert_eq!(breakers.enter("a", later), Entry::Probe);
        assert_eq!(breakers.enter("a", later), Entry::Wait(later + FIRST));
        assert!(!breakers.report("a", false, later));
        assert_eq!(breakers.enter("a", later), Entry::Wait(later + 2 * FIRST));
        assert!(breakers.report("a", true, later));
        assert_eq!(breakers.enter("a", later), Entry::Go);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_opens_alone_and_all_probe_once_one_is_well_again() {
        let (mut breakers, now) = (Breakers::new(2), Instant::now());
        for _ in 0..9 {
            breakers.report("broken", false, now);
            breakers.report("well", true, now);
        }
        assert_eq!(breakers.enter("broken", now), Entry::Wait(now + FIRST));
        assert_eq!(breakers.enter("well", now), Entry::Go);
        assert!(!breakers.report("other", false, now) && breakers.report("other", false, now));
        assert!(breakers.report("other", true, now));
        assert_eq!(breakers.enter("broken", now), Entry::Probe);
        assert_eq!(breakers.enter("broken", now), Entry::Wait(now + FIRST));
    }
}
