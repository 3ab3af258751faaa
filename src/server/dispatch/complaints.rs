//! One log line a second for each kind of error: an origin that fails fails for everybody, and a
//! flood of lines hides the one that says why. The metric counts them all.

use crate::error::{Error, Fault};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Time between two lines of one kind.
const GAP: Duration = Duration::from_secs(1);

/// What was said lately.
#[derive(Debug, Default)]
pub struct Complaints {
    /// By kind, of which there are a handful. Held for a lookup.
    said: Mutex<BTreeMap<&'static str, Said>>,
}

/// The last line of one kind.
#[derive(Debug)]
struct Said {
    /// When it was written.
    at: Instant,
    /// How many came since, and were not.
    kept: u64,
}

impl Complaints {
    /// Writes the line, or counts it towards the next one of its kind.
    pub fn say(&self, error: &Error) {
        // These are written at a level that nobody has on for long.
        if error.fault() == Fault::Client {
            error.log();
        } else if let Some(kept) = self.turn(error.kind()) {
            error.log();
            if kept > 0 {
                tracing::warn!(kind = error.kind(), kept, "so many more since the last such line");
            }
        }
    }

    /// How many were kept back, if it is time for a line.
    fn turn(&self, kind: &'static str) -> Option<u64> {
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match said.get_mut(kind) {
            Some(last) if now.duration_since(last.at) < GAP => {
                last.kept += 1;
                None
            }
            last => {
                let kept = last.map_or(0, |last| last.kept);
                said.insert(kind, Said { at: now, kept: 0 });
                Some(kept)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_one_line_a_second_and_a_number() {
        let complaints = Complaints::default();
        assert_eq!(complaints.turn("closed"), Some(0));
        assert_eq!(complaints.turn("closed"), None);
        assert_eq!(complaints.turn("closed"), None);
        assert_eq!(complaints.turn("timeout"), Some(0));
        tokio::time::sleep(GAP).await;
        assert_eq!(complaints.turn("closed"), Some(2));
        tokio::time::sleep(GAP).await;
        assert_eq!(complaints.turn("closed"), Some(0));
    }
}
