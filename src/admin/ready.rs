//! Whether clients should be sent here.

use arc_swap::ArcSwapOption;
use std::sync::Arc;

/// A shared flag: ready, or why not. Clones share it.
#[derive(Clone, Debug)]
pub struct Ready(
    /// Why not; `None` is ready. Swapped whole, so that a probe never waits for whoever writes.
    Arc<ArcSwapOption<String>>,
);

impl Default for Ready {
    fn default() -> Self {
        Self::new()
    }
}

impl Ready {
    /// Not ready: starting.
    #[must_use]
    pub fn new() -> Self {
        let ready = Self(Arc::default());
        ready.not("starting");
        ready
    }

    /// From now on ready.
    pub fn yes(&self) {
        self.0.store(None);
    }

    /// From now on not ready. The reason is shown to probes.
    pub fn not(&self, reason: impl Into<String>) {
        self.0.store(Some(Arc::new(reason.into())));
    }

    /// Why not; `None` if ready.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        self.0.load().as_deref().cloned()
    }
}
