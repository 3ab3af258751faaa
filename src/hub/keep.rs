//! The cap on the bytes of all snapshots together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes held by all topics.
#[derive(Debug, Default)]
pub struct Keep(AtomicUsize);

impl Keep {
    /// A topic's bytes go from `before` to `after`. False, and nothing changes, if that would
    /// exceed `limit`. Shrinking always succeeds.
    pub fn change(&self, before: usize, after: usize, limit: usize) -> bool {
        let update = |held: usize| {
            let next = held.saturating_sub(before).saturating_add(after);
            (after <= before || next <= limit).then_some(next)
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_limit_and_always_shrinks() {
        let keep = Keep::default();
        assert!(keep.change(0, 60, 100));
        assert!(!keep.change(0, 60, 100));
        assert!(keep.change(60, 50, 10));
        assert!(keep.change(0, 50, 100));
    }
}
