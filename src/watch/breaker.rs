//! Circuit breaker of the origin: after several failures in a row, central polls wait, and one at a
//! time probes.
//!
//! States: closed → (failures) → open until an instant → (that instant) → one probe → closed, or
//! open for twice as long. Pure: the instant is an argument.

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
    /// Wait until then, and ask again.
    Wait(Instant),
}

/// The breaker's state.
#[derive(Debug)]
pub struct Breaker {
    /// Failures in a row that open it.
    threshold: u32,
    /// Failures in a row so far.
    failures: u32,
    /// Open until then; `None` is closed.
    open_until: Option<Instant>,
    /// How long it was last opened for.
    pause: Duration,
}

impl Breaker {
    /// Closed. `threshold` is at least 1.
    pub fn new(threshold: u32) -> Self {
        Self { threshold: threshold.max(1), failures: 0, open_until: None, pause: FIRST }
    }

    /// A poll wants to start. The first to ask after the pause is the probe; the others wait for as
    /// long again.
    pub fn enter(&mut self, now: Instant) -> Entry {
        match self.open_until {
            None => Entry::Go,
            Some(until) if now < until => Entry::Wait(until),
            Some(_) => {
                self.open_until = Some(now + self.pause);
                Entry::Go
            }
        }
    }

    /// A poll ended. Returns true if that opened or closed the breaker.
    pub fn report(&mut self, healthy: bool, now: Instant) -> bool {
        if healthy {
            self.failures = 0;
            self.pause = FIRST;
            return self.open_until.take().is_some();
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.threshold {
            return false;
        }
        let opened = self.open_until.is_none();
        if !opened {
            self.pause = (self.pause * 2).min(LONGEST);
        }
        self.open_until = Some(now + self.pause);
        opened
    }

    /// True while polls wait.
    pub fn is_open(&self) -> bool {
        self.open_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_probes_and_closes_by_itself() {
        let (mut breaker, now) = (Breaker::new(2), Instant::now());
        assert!(!breaker.report(false, now));
        assert_eq!(breaker.enter(now), Entry::Go);
        assert!(breaker.report(false, now));
        assert_eq!(breaker.enter(now), Entry::Wait(now + FIRST));
        let later = now + FIRST;
        assert_eq!(breaker.enter(later), Entry::Go);
        assert_eq!(breaker.enter(later), Entry::Wait(later + FIRST));
        assert!(!breaker.report(false, later));
        assert_eq!(breaker.enter(later), Entry::Wait(later + 2 * FIRST));
        assert!(breaker.report(true, later));
        assert_eq!(breaker.enter(later), Entry::Go);
    }
}
