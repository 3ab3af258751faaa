//! What happened, with its virtual instant: compared between two runs of a seed, and printed when
//! a seed fails.

use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// Lines of a failure's report.
const LAST: usize = 40;

#[derive(Clone)]
pub struct Trace(Arc<(Instant, Mutex<Vec<String>>)>);

impl Trace {
    /// An empty trace that counts from now.
    pub fn new() -> Self {
        Self(Arc::new((Instant::now(), Mutex::default())))
    }

    pub fn say(&self, text: impl std::fmt::Display) {
        let line = format!("{:>7} {text}", self.0.0.elapsed().as_millis());
        self.0.1.lock().unwrap().push(line);
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.1.lock().unwrap().clone()
    }

    /// The newest lines.
    pub fn last(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(LAST)..].join("\n")
    }
}
